-- Rows of a view in hashes, each the whole row of its view: the newest event time stays.
-- KEYS: the hash of each row.
-- ARGV: what a row does to its key's expiry ('none', 'own', 'shared'); how many groups of fields
--   expire on their own, and for each its size and its fields; then for each row: how many fields it
--   lacks; how many arguments its fields and values are; the key's expiry, unless 'none'; the expiry
--   of each group; the fields it lacks; fields and values, the event time's last.
-- Returns how many rows changed something, or {that, position of a failed row, its error, ...}.
local PART = 4000 -- of what unpack takes at once
local expiry = ARGV[1]
local groups = {}
local at = 3
for group = 1, tonumber(ARGV[2]) do
  local last = at + tonumber(ARGV[at])
  groups[group] = {at + 1, last}
  at = last + 1
end

local function in_parts(command, key, list, first, last)
  for from = first, last, PART do
    local reply = redis.pcall(command, key, unpack(list, from, math.min(from + PART - 1, last)))
    if type(reply) == 'table' then
      return reply
    end
  end
end

-- Whether the stored event time is later than the row's, the same, or earlier: 1, 0, -1. Text that
-- is no integer of 64 bits is no event time, so that any row repairs it.
local function compare(stored, time)
  if stored == time then
    return 0
  end
  local left, right = tonumber(stored), tonumber(time)
  if not left or left < right then
    return -1
  end
  local digits = string.match(stored, '^0*(%d+)$')
  if not digits or #digits > 19 or #digits == 19 and greater(digits, '9223372036854775807') then
    return -1
  end
  if digits == time then
    return 0
  end
  if #digits ~= #time then
    return #digits > #time and 1 or -1
  end
  return greater(digits, time) and 1 or -1
end

-- What the row changes of a row of the same moment: in each field the greatest bytes stay, and a
-- value rather than none. Returns a list of fields and values.
local function merged(key, first, last)
  local fields, changes = {}, {}
  for field = first, last, 2 do
    fields[#fields + 1] = ARGV[field]
  end
  for from = 1, #fields, PART do
    local upto = math.min(from + PART - 1, #fields)
    local stored = redis.pcall('HMGET', key, unpack(fields, from, upto))
    if stored.err then
      return stored
    end
    for index = from, upto do
      local value, there = ARGV[first + 2 * index - 1], stored[index - from + 1]
      if not there or greater(value, there) then
        changes[#changes + 1] = fields[index]
        changes[#changes + 1] = value
      end
    end
  end
  return changes
end

local function expire(key, due)
  if expiry == 'shared' then
    local until_now = redis.pcall('PEXPIRETIME', key)
    if type(until_now) == 'table' then
      return until_now
    end
    if until_now >= tonumber(due) then
      return nil
    end
  end
  local reply = redis.pcall('PEXPIREAT', key, due)
  return type(reply) == 'table' and reply or nil
end

-- Returns 1 if the row changed something, 0 if not, or an error.
local function write(key, times, absent, first, last)
  local stored = redis.pcall('HGET', key, ARGV[last - 1])
  local failed
  local order = -1
  if type(stored) == 'string' then
    order = compare(stored, ARGV[last])
  elseif stored then
    return stored
  end
  if order > 0 then
    return 0
  end
  if order == 0 then
    local changes = merged(key, first, last - 2)
    if changes.err then
      return changes
    end
    if #changes == 0 then
      return 0
    end
    failed = in_parts('HSET', key, changes, 1, #changes)
  else
    -- In this order: a server without memory stops a script only before its first write.
    failed = in_parts('HSET', key, ARGV, first, last)
      or absent < first and in_parts('HDEL', key, ARGV, absent, first - 1)
  end
  if failed then
    return failed
  end
  if expiry ~= 'none' then
    failed = expire(key, ARGV[times])
    if failed then
      return failed
    end
    times = times + 1
  end
  for group = 1, #groups do
    local from, upto = groups[group][1], groups[group][2]
    local due = ARGV[times]
    times = times + 1
    for part = from, upto, PART do
      local final = math.min(part + PART - 1, upto)
      local reply = redis.pcall(
        'HPEXPIREAT', key, due, 'FIELDS', final - part + 1, unpack(ARGV, part, final))
      if reply.err then
        return reply
      end
    end
  end
  return 1
end

local changed, failures = 0, {}
for row = 1, #KEYS do
  local lacking, given = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local times = at + 2
  local absent = times + #groups + (expiry == 'none' and 0 or 1)
  local first = absent + lacking
  at = first + given
  local verdict = write(KEYS[row], times, absent, first, at - 1)
  if type(verdict) == 'table' then
    failures[#failures + 1] = row
    failures[#failures + 1] = verdict.err
  else
    changed = changed + verdict
  end
end
if #failures == 0 then
  return changed
end
return {changed, unpack(failures)}
