-- A row in another layout, if it still is in its first one what was read.
-- KEYS: where it was read; where it goes; the registry.
-- ARGV: the revision of the registry under which this is right; how many fields were read of a hash, 0
--   where a string was read, -1 where it does not matter what is there; names of the fields; what was
--   read of each: '=' and its text, or nothing where it was not there; then commands on the second
--   key, each as the number of its arguments, its name and what follows the key.
-- Returns 1; 2 if nothing was there for the commands; 0 if the row is another by now; -1 if the
--   registry is. In the last two cases nothing is done.
local PART = 4000 -- of what unpack takes at once; even, for pairs
if redis.call('HGET', KEYS[3], 'revision') ~= ARGV[1] then
  return -1
end
local fields = tonumber(ARGV[2])

local function same(found, read)
  if found then
    return read == '=' .. found
  end
  return read == ''
end

local at = 3
if fields == 0 then
  if not same(redis.call('GET', KEYS[1]), ARGV[3]) then
    return 0
  end
  at = 4
elseif fields > 0 then
  for from = 1, fields, PART do
    local upto = math.min(from + PART - 1, fields)
    local found = redis.call('HMGET', KEYS[1], unpack(ARGV, 2 + from, 2 + upto))
    for index = from, upto do
      if not same(found[index - from + 1], ARGV[2 + fields + index]) then
        return 0
      end
    end
  end
  at = 3 + 2 * fields
end

local effective = 2
while at <= #ARGV do
  local count, name = tonumber(ARGV[at]), ARGV[at + 1]
  local first, last = at + 2, at + 1 + count
  -- Only these two are ever long.
  local step = (name == 'HSET' or name == 'HDEL') and PART or math.max(count, 1)
  repeat
    local reply = redis.call(name, KEYS[2], unpack(ARGV, first, math.min(first + step - 1, last)))
    if reply ~= 0 then
      effective = 1
    end
    first = first + step
  until first > last
  at = last + 1
end
return effective
