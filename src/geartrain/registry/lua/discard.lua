-- Drop an execution that has ended.
-- KEYS: all executions.  ARGV: two prefixes (bounds.lua), its id.  Returns its status; nothing where it is not kept.
-- One that has not ended stays.
local status = redis.call('HGET', execution .. ARGV[3], 'status')
if status and ended[status] then drop(ARGV[3]) end
return status
