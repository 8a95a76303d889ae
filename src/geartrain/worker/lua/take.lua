-- Take a lease that belongs to no stream (key events), or keep it.
-- KEYS: lease.  ARGV: token, lease TTL in ms.  Returns 1: ours; 0: another worker has it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
