-- The session at a time: from the newest event at or before it, back to the first longer pause.
-- KEYS: the series.
-- ARGV: the time (ms), the lower bound of scores ('-inf', or '(ms'), the longest pause (ms).
-- Returns the times of its first and its newest event, or nothing if there is no event.
local PAGE = 64
local series, upto, floor, longest = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local first, newest
repeat
  local page = redis.call(
    'ZRANGE', series, upto, floor, 'BYSCORE', 'REV', 'LIMIT', 0, PAGE, 'WITHSCORES')
  local ended = #page < 2 * PAGE
  for at = 2, #page, 2 do
    local time = tonumber(page[at])
    if first and first - time > longest then
      ended = true
      break
    end
    first = time
    newest = newest or time
  end
  -- A page may cut events of one time apart. The rest of them is skipped, and would change nothing.
  upto = '(' .. (page[#page] or '')
until ended
if not newest then
  return {}
end
return {string.format('%.0f', first), string.format('%.0f', newest)}
