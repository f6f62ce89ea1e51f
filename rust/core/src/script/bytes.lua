-- Whether a is greater than b, byte by byte; Lua's own comparison follows the server's locale.
local function greater(a, b)
  for from = 1, math.min(#a, #b) do
    local x, y = string.byte(a, from), string.byte(b, from)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end
