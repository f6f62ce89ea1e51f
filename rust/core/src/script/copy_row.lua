-- Takes a row from one layout to the other: copies it, moves it, or removes it from the first.
-- KEYS: the row in the first layout; the row in the second layout; the registry.
-- ARGV: the revision of the registry that this call is for; what to do; which of the first two keys
--   is a hash (the other is a string); how many of its fields follow, and their names. To copy or
--   to move, then what was read in the first layout: for each field, or for the string, '=' and its
--   text, or nothing if it was not there. Then the commands on the second key, each as the number
--   of its arguments after the key, its name, and these arguments.
-- copy: carries out the commands, if the first key still holds what was read.
-- move: does the same if the second key has no row, then removes the row of the first.
-- remove: removes the row of the first key, if the second has a row. If it has none, the row was
--   never copied or its copy is lost, so the row stays.
-- A call that was cut off may be repeated: it finds what it did, and does the same or nothing.
-- Returns 1; 2 if there was nothing to change; 0 if the row has changed since it was read; 3 if the
--   second key has a row when it should have none, or none when it should have one; -1 if the
--   registry has changed. With 0, 3 and -1 nothing was done.
local PART = 4000 -- the most that unpack takes at once; even, for pairs
if redis.call('HGET', KEYS[3], 'revision') ~= ARGV[1] then
  return -1
end
local what, hash, count = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local fields_end = 4 + count

-- Calls a command with arguments of this script, some at a time; stops when `take` returns true.
local function in_parts(name, key, first, last, take)
  local from = first
  repeat
    local upto = math.min(from + PART - 1, last)
    if take(redis.call(name, key, unpack(ARGV, from, upto)), from, upto) then
      return true
    end
    from = upto + 1
  until from > last
  return false
end

local function has_row(index)
  if index ~= hash then
    return #redis.call('GETRANGE', KEYS[index], 0, 0) > 0
  end
  return in_parts('HMGET', KEYS[index], 5, fields_end, function(found, from, upto)
    for at = 1, upto - from + 1 do
      if found[at] then
        return true
      end
    end
  end)
end

local effective = 2
local function counted(reply)
  if reply ~= 0 then
    effective = 1
  end
end

local function remove(index)
  if index == hash then
    in_parts('HDEL', KEYS[index], 5, fields_end, counted)
  else
    counted(redis.call('UNLINK', KEYS[index]))
  end
end

if what == 'remove' then
  if not has_row(2) then
    return has_row(1) and 3 or 2
  end
  remove(1)
  return effective
end

local function differs(found, read)
  if found then
    return read ~= '=' .. found
  end
  return read ~= ''
end

local at = fields_end + 1
if hash == 1 then
  if in_parts('HMGET', KEYS[1], 5, fields_end, function(found, from, upto)
    for index = from, upto do
      if differs(found[index - from + 1], ARGV[count + index]) then
        return true
      end
    end
  end) then
    return 0
  end
  at = at + count
else
  if differs(redis.call('GET', KEYS[1]), ARGV[at]) then
    return 0
  end
  at = at + 1
end
if what == 'move' and has_row(2) then
  return 3
end

while at <= #ARGV do
  local name, first = ARGV[at + 1], at + 2
  local last = first + tonumber(ARGV[at]) - 1
  -- Only these two are ever long.
  if name == 'HSET' or name == 'HDEL' then
    in_parts(name, KEYS[2], first, last, counted)
  else
    counted(redis.call(name, KEYS[2], unpack(ARGV, first, last)))
  end
  at = last + 1
end
if what == 'move' then
  remove(1)
end
return effective
