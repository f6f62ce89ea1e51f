-- Adds events of one entity to its series, and each new event to its tiles.
-- KEYS: the series, its tiles.
-- ARGV: until when each is kept (ms, or empty); the length of a tile, the series' retention, its
--   most events, the tiles' retention (ms; 0 for none); how many fields are added up, and for each
--   its name and kind ('integer', 'float'); then for each event, oldest first: its time, its
--   member, and the value of each field, empty if it has none.
-- Returns how many events were new.
local series, tiles = KEYS[1], KEYS[2]
local tile, retention = tonumber(ARGV[3]), tonumber(ARGV[4])
local most, kept = tonumber(ARGV[5]), tonumber(ARGV[6])
local width = tonumber(ARGV[7])
local parts, integers = {}, {} -- what a tile has of each field: count, sum, smallest, largest
for field = 1, width do
  local name, at = ARGV[6 + 2 * field], 4 * field
  parts[at - 3], parts[at - 2] = 'c:' .. name, 's:' .. name
  parts[at - 1], parts[at] = 'l:' .. name, 'g:' .. name
  integers[field] = ARGV[7 + 2 * field] == 'integer'
end
local first, step = 8 + 2 * width, 2 + width

local function whole(number)
  return string.format('%.0f', number)
end

-- Sets the expiry of both keys even if no event is new: an earlier definition may have set another
-- expiry, or one where there must be none now.
local function keep()
  for place = 1, 2 do
    local key, due = KEYS[place], ARGV[place]
    if due == '' then
      redis.call('PERSIST', key)
    -- For GT alone a key without an expiry never expires.
    elseif redis.call('PEXPIREAT', key, due, 'GT') == 0 then
      redis.call('PEXPIREAT', key, due, 'NX')
    end
  end
end

-- An event that comes too late may have been there before and been trimmed, so it is ignored.
local before = tonumber(redis.call('ZRANGE', series, 0, 0, 'REV', 'WITHSCORES')[2])
local newest = math.max(before or 0, tonumber(ARGV[#ARGV - step + 1]))
local too_late = retention > 0 and before and before - retention or -1
local edge_time, edge_member = -1, ''
if most > 0 and redis.call('ZCARD', series) >= most then
  local oldest = redis.call('ZRANGE', series, 0, 0, 'WITHSCORES')
  edge_time, edge_member = tonumber(oldest[2]), oldest[1]
end

local candidates, members = {}, {}
for event = first, #ARGV, step do
  local time, member = tonumber(ARGV[event]), ARGV[event + 1]
  local in_time = time > too_late
    and (time > edge_time or time == edge_time and not greater(edge_member, member))
  if in_time and not members[member] then
    members[member] = true
    members[#members + 1] = member
    candidates[#candidates + 1] = event
  end
end
if #candidates == 0 then
  keep()
  return 0
end

-- Whether a is smaller than b, as integers of any size or as floats. Of equal numbers the smaller
-- text is smaller.
local function smaller(integer, a, b)
  local left, right = tonumber(a), tonumber(b)
  if left ~= right then
    return left < right
  end
  if integer and #a ~= #b then
    return (#a < #b) == (left > 0)
  end
  return a ~= b and greater(b, a) == not (integer and left < 0)
end

-- Whether a new value replaces the stored one as the smallest or the largest. A NaN stays only
-- until there is a number.
local function better(integer, largest, new, old)
  if not old or old == 'nan' then
    return true
  end
  if new == 'nan' then
    return false
  end
  if largest then
    return smaller(integer, old, new)
  end
  return smaller(integer, new, old)
end

local function new_tile()
  local sums = {n = 0}
  for field = 1, width do
    sums[field] = {count = 0, sum = 0, large = {}}
  end
  return sums
end

-- Integers are added up as doubles while that is exact.
local EXACT = 2 ^ 50

local function add(sums, field, value)
  local entry, integer = sums[field], integers[field]
  local number = tonumber(value)
  entry.count = entry.count + 1
  if integer and math.abs(number) > EXACT / 1024 then
    entry.large[#entry.large + 1] = value
  else
    entry.sum = entry.sum + number
  end
  if better(integer, false, value, entry.least) then
    entry.least = value
  end
  if better(integer, true, value, entry.greatest) then
    entry.greatest = value
  end
end

local scores = redis.call('ZMSCORE', series, unpack(members))
local added, buckets, starts = {}, {}, {}
for index, event in ipairs(candidates) do
  if not scores[index] then
    local time = tonumber(ARGV[event])
    added[#added + 1] = ARGV[event]
    added[#added + 1] = members[index]
    local start = time - time % tile
    if kept == 0 or start + tile > newest - kept then
      local sums = buckets[start]
      if not sums then
        sums = new_tile()
        buckets[start] = sums
        starts[#starts + 1] = start
      end
      sums.n = sums.n + 1
      for field = 1, width do
        local value = ARGV[event + 1 + field]
        if value ~= '' then
          add(sums, field, value)
        end
      end
    end
  end
end
if #added == 0 then
  keep()
  return 0
end

local function float_text(number)
  -- The C library's text of a NaN may have a sign.
  return number == number and string.format('%.17g', number) or 'nan'
end

-- The text of a stored integer plus a small one, or nil if a double may not hold it.
local function integer_sum(stored, delta)
  if #stored <= 15 then
    local number = tonumber(stored)
    return number and whole(number + delta)
  end
end

-- Computes a tile's changes before anything is written, so that a key of another type cannot stop
-- the script half-way.
local fresh = false
local function become(start, sums)
  local prefix = whole(start) .. ':'
  local wanted = {prefix .. 'n'}
  for part = 1, 4 * width do
    wanted[part + 1] = prefix .. parts[part]
  end
  local stored = redis.call('HMGET', tiles, unpack(wanted))
  fresh = fresh or not stored[1]
  local changes = {wanted[1], whole((tonumber(stored[1]) or 0) + sums.n)}
  local function change(index, text)
    changes[#changes + 1] = wanted[index]
    changes[#changes + 1] = text
  end
  for field = 1, width do
    local entry, at, integer = sums[field], 4 * field - 2, integers[field]
    if entry.count > 0 then
      change(at, whole((tonumber(stored[at]) or 0) + entry.count))
      local sum = stored[at + 1] or '0'
      local text = integer and integer_sum(sum, entry.sum)
        or not integer and float_text((tonumber(sum) or 0 / 0) + entry.sum)
      if text then
        change(at + 1, text)
      else
        entry.large[#entry.large + 1] = whole(entry.sum)
      end
      local least, greatest = stored[at + 2], stored[at + 3]
      if better(integer, false, entry.least, least) then
        change(at + 2, entry.least)
      end
      if better(integer, true, entry.greatest, greatest) then
        change(at + 3, entry.greatest)
      end
    end
  end
  return changes, wanted
end

local changed = {}
for index, start in ipairs(starts) do
  changed[index] = {become(start, buckets[start])}
end
redis.call('ZADD', series, unpack(added))
for index, start in ipairs(starts) do
  local changes, wanted = unpack(changed[index])
  redis.call('HSET', tiles, unpack(changes))
  for field = 1, width do
    for _, value in ipairs(buckets[start][field].large) do
      local name = wanted[4 * field - 1]
      local reply = redis.pcall('HINCRBY', tiles, name, value)
      if type(reply) == 'table' and string.find(reply.err, 'overflow') then
        -- Not an integer, so that it reads as INVALID.
        redis.call('HSET', tiles, name, 'overflow')
      end
    end
  end
end

if retention > 0 then
  redis.call('ZREMRANGEBYSCORE', series, '-inf', whole(newest - retention))
end
if most > 0 then
  redis.call('ZREMRANGEBYRANK', series, 0, whole(-most - 1))
end

-- Removes the tiles whose retention is over. If it ended since the newest event before, they are
-- known by their times. If there was none, or it is long ago, every tile is looked at.
if fresh and kept > 0 then
  local gone, bound = {}, newest - kept
  local from = before and before - kept
  if from and bound - from <= 100 * tile then
    for start = from - from % tile, bound - tile, tile do
      local prefix = whole(start) .. ':'
      gone[#gone + 1] = prefix .. 'n'
      for part = 1, 4 * width do
        gone[#gone + 1] = prefix .. parts[part]
      end
    end
  else
    for _, name in ipairs(redis.call('HKEYS', tiles)) do
      local start = tonumber(string.match(name, '^(%-?%d+):'))
      if start and start + tile <= bound then
        gone[#gone + 1] = name
      end
    end
  end
  for part = 1, #gone, 4000 do
    redis.call('HDEL', tiles, unpack(gone, part, math.min(part + 3999, #gone)))
  end
end

keep()
return #added / 2
