-- Packed rows: the newest event time stays.
-- KEYS: the string of each row.
-- ARGV: what a row does to its key's expiry ('none', 'own'); then for each row: the row; the key's
--   expiry, unless 'none'.
-- Returns how many rows changed something, or {that, position of a failed row, its error, ...}.
local expires = ARGV[1] == 'own'

-- The event time, little-endian in bytes 6 to 13, as two numbers: 64 bits do not fit into one.
local function time_of(row)
  local a, b, c, d, e, f, g, h = string.byte(row, 6, 13)
  local high = ((h * 256 + g) * 256 + f) * 256 + e
  return h < 128 and high or high - 2 ^ 32, ((d * 256 + c) * 256 + b) * 256 + a
end

-- Whether the row is newer than what is there; of one moment the greater bytes are.
local function is_newer(key, row)
  local head = redis.pcall('GETRANGE', key, 0, 12)
  if type(head) == 'table' then
    return head
  end
  if #head < 13 or string.byte(head) ~= 1 then
    return true
  end
  local high, low = time_of(row)
  local stored_high, stored_low = time_of(head)
  if high ~= stored_high then
    return high > stored_high
  end
  if low ~= stored_low then
    return low > stored_low
  end
  local stored = redis.pcall('GET', key)
  if type(stored) == 'table' then
    return stored
  end
  return greater(row, stored)
end

local step = expires and 2 or 1
local changed, failures = 0, {}
for index = 1, #KEYS do
  local key, at = KEYS[index], 2 + (index - 1) * step
  local row = ARGV[at]
  local reply = is_newer(key, row)
  if reply == true then
    if expires then
      reply = redis.pcall('SET', key, row, 'PXAT', ARGV[at + 1])
    else
      reply = redis.pcall('SET', key, row)
    end
    if reply.ok then
      changed = changed + 1
    end
  end
  if type(reply) == 'table' and reply.err then
    failures[#failures + 1] = index
    failures[#failures + 1] = reply.err
  end
end
if #failures == 0 then
  return changed
end
return {changed, unpack(failures)}
