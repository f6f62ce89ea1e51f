-- Packed rows: the newest event time stays.
-- KEYS: the string of each row.
-- ARGV: what a row does to its key's expiry ('none', 'own'); '1' if even a row that changes nothing
--   does so, because keys may have the expiry of an earlier definition; then for each row: the row; the
--   key's expiry, unless 'none'.
-- Returns how many rows changed something, or {that, position of a failed row, its error, ...}.
local call, argv, byte = redis.pcall, ARGV, string.byte
local expires, resets = argv[1] == 'own', argv[2] == '1'

-- Whether a row is newer than a stored one, by their event times, little-endian in bytes 6 to 13;
-- nil if these are equal. 64 bits do not fit into one number, so they are compared in two halves.
local function is_newer(row, stored)
  local a, b, c, d, e, f, g, h = byte(row, 6, 13)
  local i, j, k, l, m, n, o, p = byte(stored, 6, 13)
  local high, stored_high = ((h * 256 + g) * 256 + f) * 256 + e, ((p * 256 + o) * 256 + n) * 256 + m
  if high ~= stored_high then
    -- The highest bit is a sign.
    return (high + 2 ^ 31) % 2 ^ 32 > (stored_high + 2 ^ 31) % 2 ^ 32
  end
  local low, stored_low = ((d * 256 + c) * 256 + b) * 256 + a, ((l * 256 + k) * 256 + j) * 256 + i
  if low ~= stored_low then
    return low > stored_low
  end
end

-- Sets the expiry of a row's key after a row that changes nothing, but never to a sooner time.
-- Returns 0, or an error.
local function expire(key, due)
  local known = due and call('PEXPIRETIME', key)
  if type(known) == 'table' then
    return known
  end
  local reply = not due and call('PERSIST', key)
    or due and known < tonumber(due) and call('PEXPIREAT', key, due)
  return type(reply) == 'table' and reply or 0
end

-- Returns 1 if the row changed something, 0 if not, or an error.
local function write(key, row, due)
  local head = call('GETRANGE', key, 0, 12)
  if type(head) == 'table' then
    return head
  end
  -- Anything that is not a packed row counts as older.
  if #head == 13 and byte(head) == 1 then
    local newer = is_newer(row, head)
    if newer == nil then
      local stored = call('GET', key)
      if type(stored) == 'table' then
        return stored
      end
      newer = greater(row, stored)
    end
    if not newer then
      return resets and expire(key, due) or 0
    end
  end
  local reply = due and call('SET', key, row, 'PXAT', due) or not due and call('SET', key, row)
  return reply.ok and 1 or reply
end

local step = expires and 2 or 1
local changed, failures = 0, nil
for index = 1, #KEYS do
  local at = 3 + (index - 1) * step
  local verdict = write(KEYS[index], argv[at], expires and argv[at + 1])
  if type(verdict) == 'table' then
    failures = failures or {}
    failures[#failures + 1] = index
    failures[#failures + 1] = verdict.err
  else
    changed = changed + verdict
  end
end
if not failures then
  return changed
end
return {changed, unpack(failures)}
