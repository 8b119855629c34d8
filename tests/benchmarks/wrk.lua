-- Sends each body of a file once, says STOPPED and the seconds that it took, and after a SIGINT prints the rest as JSON:
-- wrk itself goes on sleeping until its time is over.
-- Arguments: file of bodies, number of bodies, value of X-Sentry-Auth.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } rustrak_time; int gettimeofday(rustrak_time *, void *);")
local bodies, total, at, answered, begun = "", 0, 1, 0, nil

local function now()
   local time = ffi.new("rustrak_time")
   ffi.C.gettimeofday(time, nil)
   return tonumber(time.s) + tonumber(time.us) / 1e6
end

function init(args)
   local file = assert(io.open(args[1], "rb"))
   bodies = file:read("*a")
   file:close()
   total = tonumber(args[2])
   wrk.method = "POST"
   wrk.headers["X-Sentry-Auth"] = args[3]
   wrk.headers["Content-Type"] = "application/x-sentry-envelope"
   wrk.headers["User-Agent"] = "sentry.python.django/2.75.0"
   wrk.headers["Accept-Encoding"] = "identity"
end

function request()
   if begun == nil then begun = now() end
   if at > #bodies then at = 1 end
   local a, b, c, d = string.byte(bodies, at, at + 3)
   local length = a + b * 256 + c * 65536 + d * 16777216
   local gzipped = string.byte(bodies, at + 4) == 1
   wrk.headers["Content-Encoding"] = gzipped and "gzip" or nil
   local body = string.sub(bodies, at + 5, at + 4 + length)
   at = at + 5 + length
   return wrk.format(nil, nil, nil, body)
end

function response()
   answered = answered + 1
   if answered == total then
      io.write(string.format("STOPPED %.6f\n", now() - begun))
      io.flush()
      wrk.thread:stop()
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\nRESULT {"p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
