-- Rows of a view in hashes, each the whole row of its view: the newest event time stays.
-- KEYS: the hash of each row.
-- ARGV: what a row does to its key's expiry ('none', 'cleared', 'own', 'shared'); '1' if even a row
--   that changes nothing does so, because keys may have the expiry of an earlier definition; how
--   many fields the view has, and their names; the field of the event time; how many groups of
--   fields expire on their own, and for each its size and its fields; how many fields lose an
--   expiry that they may have, and their names; then for each row: which fields it has ('' for all,
--   else a '1' or '0' for each); the key's expiry if 'own' or 'shared'; the expiry of each group;
--   the values; the event time.
-- Returns how many rows changed something, or {that, position of a failed row, its error, ...}.
local PART = 4000 -- the most that unpack takes at once
local call, argv, type, tonumber, unpack = redis.pcall, ARGV, type, tonumber, unpack
local expiry, resets, width = argv[1], argv[2] == '1', tonumber(argv[3])
local time_field = argv[4 + width]

-- HSET's arguments for a row that has all fields: only its values are put in for each row.
local whole = {}
for field = 1, width do
  whole[2 * field - 1] = argv[3 + field]
end
whole[2 * width + 1] = time_field

local groups = {}
local at = 6 + width
for group = 1, tonumber(argv[5 + width]) do
  local last = at + tonumber(argv[at])
  groups[group] = {at + 1, last}
  at = last + 1
end
local lasting_from, lasting_upto = at + 1, at + tonumber(argv[at])
at = lasting_upto + 1
local has_due = expiry == 'own' or expiry == 'shared'
local due_count = #groups + (has_due and 1 or 0)

local function in_parts(command, key, list, count)
  for from = 1, count, PART do
    local reply = call(command, key, unpack(list, from, math.min(from + PART - 1, count)))
    if type(reply) == 'table' then
      return reply
    end
  end
end

-- Compares the stored event time with the row's: 1 if it is later, 0 if it is equal, -1 if it is
-- earlier. Text that is not an integer of 64 bits counts as earlier, so that any row repairs it.
local function compare(stored, time)
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

-- Merges the row with a stored one of the same event time: in each field the greatest bytes stay,
-- and a value rather than none. Returns the fields and values that change.
local function merged(key, pairs_of_row, count)
  local changes = {}
  for from = 1, count - 2, 2 * PART do
    local fields = {}
    for field = from, math.min(from + 2 * PART, count - 1) - 1, 2 do
      fields[#fields + 1] = pairs_of_row[field]
    end
    local stored = call('HMGET', key, unpack(fields))
    if stored.err then
      return stored
    end
    for index, field in ipairs(fields) do
      local value, there = pairs_of_row[from + 2 * index - 1], stored[index]
      if not there or greater(value, there) then
        changes[#changes + 1] = field
        changes[#changes + 1] = value
      end
    end
  end
  return changes
end

-- Sets the expiry of a row's key and of its view's fields. A row that changed nothing never makes
-- them expire sooner.
local function expire(key, times, unchanged)
  if has_due then
    local due = argv[times]
    times = times + 1
    local known = (unchanged or expiry == 'shared') and call('PEXPIRETIME', key) or -1
    if type(known) == 'table' then
      return known
    end
    local reply = known < tonumber(due) and call('PEXPIREAT', key, due)
    if type(reply) == 'table' then
      return reply
    end
  elseif expiry == 'cleared' then
    local reply = call('PERSIST', key)
    if type(reply) == 'table' then
      return reply
    end
  end
  for group = 1, #groups do
    local from, upto = groups[group][1], groups[group][2]
    for part = from, upto, PART do
      local final = math.min(part + PART - 1, upto)
      local count, reply = final - part + 1, nil
      if unchanged then
        -- For GT alone a field without an expiry never expires.
        reply = call('HPEXPIREAT', key, argv[times], 'NX', 'FIELDS', count, unpack(argv, part, final))
        reply = reply.err and reply
          or call('HPEXPIREAT', key, argv[times], 'GT', 'FIELDS', count, unpack(argv, part, final))
      else
        reply = call('HPEXPIREAT', key, argv[times], 'FIELDS', count, unpack(argv, part, final))
      end
      if reply.err then
        return reply
      end
    end
    times = times + 1
  end
  for from = lasting_from, lasting_upto, PART do
    local upto = math.min(from + PART - 1, lasting_upto)
    local reply = call('HPERSIST', key, 'FIELDS', upto - from + 1, unpack(argv, from, upto))
    if reply.err then
      return reply
    end
  end
end

-- Stores a row, or those of its fields that change. Returns 1, or an error.
local function put(key, pairs_of_row, count, absent, times)
  -- In this order, because a server without memory stops a script only before its first write.
  return in_parts('HSET', key, pairs_of_row, count)
    or absent and in_parts('HDEL', key, absent, #absent)
    or (resets or due_count > 0) and expire(key, times)
    or 1
end

-- Stores a row whose key has one that seems to be as new or newer. Returns 1, 0 if the row changes
-- nothing, or an error.
local function settle(key, stored, pairs_of_row, count, absent, times)
  local order = compare(stored, pairs_of_row[count])
  if order > 0 then
    return 0
  end
  if order == 0 then
    local changes = merged(key, pairs_of_row, count)
    if changes.err then
      return changes
    end
    return #changes == 0 and 0 or put(key, changes, #changes, nil, times)
  end
  return put(key, pairs_of_row, count, absent, times)
end

-- Nearly every row has all fields and is newer than the stored one, so it takes no function call.
local most = 2 * width + 2
local simple = due_count == 0 and not resets and most <= PART
local changed, failures = 0, nil
for row = 1, #KEYS do
  local key, mask, times = KEYS[row], argv[at], at + 1
  local value = times + due_count
  local pairs_of_row, count, absent = whole, most, nil
  if mask == '' then
    for field = 2, 2 * width, 2 do
      whole[field] = argv[value]
      value = value + 1
    end
  else
    pairs_of_row, count, absent = {}, 2, {}
    for field = 1, width do
      local name = whole[2 * field - 1]
      if string.byte(mask, field) == 49 then
        pairs_of_row[count - 1], pairs_of_row[count] = name, argv[value]
        count = count + 2
        value = value + 1
      else
        absent[#absent + 1] = name
      end
    end
    pairs_of_row[count - 1] = time_field
  end
  local time = argv[value]
  pairs_of_row[count] = time
  at = value + 1
  local stored = call('HGET', key, time_field)
  local known = stored and tonumber(stored)
  local verdict
  if type(stored) == 'table' then
    verdict = stored
  elseif known and known >= tonumber(time) then
    verdict = settle(key, stored, pairs_of_row, count, absent, times)
  elseif simple and not absent then
    verdict = call('HSET', key, unpack(whole, 1, most))
    verdict = type(verdict) == 'table' and verdict or 1
  else
    verdict = put(key, pairs_of_row, count, absent, times)
  end
  if verdict == 0 and resets then
    verdict = expire(key, times, true) or 0
  end
  if type(verdict) == 'table' then
    failures = failures or {}
    failures[#failures + 1] = row
    failures[#failures + 1] = verdict.err
  else
    changed = changed + verdict
  end
end
if not failures then
  return changed
end
return {changed, unpack(failures)}
