-- Note how an execution has ended, if it has not ended before.
-- KEYS: all executions.  ARGV: two prefixes (bounds.lua), executions to keep, and of each registration, its id, an end
-- after which this may be noted all the same ('' for none), then name and value of each field.
-- Returns 1: noted; 0: it has ended before, or is not kept any more.
local key = execution .. ARGV[5]
local status, registration = unpack(redis.call('HMGET', key, 'status', 'registration'))
if not status or (ended[status] and status ~= ARGV[6]) then return 0 end
redis.call('HSET', key, unpack(ARGV, 7))
if registration then bound(of .. registration, tonumber(ARGV[4])) end
bound(all, tonumber(ARGV[3]))
return 1
