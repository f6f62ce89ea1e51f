-- Sends the requests of a file in turn. Each line has the method, path and body, separated by tabs.
-- `done` prints one line of JSON that bench/measure/load.py reads.

local requests = {}
local next_one = 0
local threads = {}

-- `done` runs elsewhere and sees only the global variables of a thread, so this is global.
mean_request = 0

function setup(thread)
  threads[#threads + 1] = thread
end

function init(args)
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%u+)\t([^\t]*)\t(.*)$")
    local headers = { ["Host"] = "127.0.0.1" }
    if body == "" then
      body = nil
    else
      headers["Content-Type"] = "application/json"
    end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
    mean_request = mean_request + #requests[#requests]
  end
  mean_request = mean_request / #requests
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "bytes": %d, "not_ok": %d, "broken": %d, '
      .. '"p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f, '
      .. '"request_bytes": %.1f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.status, broken,
    latency:percentile(50), latency:percentile(99), latency.max,
    threads[1]:get("mean_request")))
end
