-- Give a lease up, if it is ours.
-- KEYS: lease.  ARGV: token.  Returns 1: given up; 0: it was not ours.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
