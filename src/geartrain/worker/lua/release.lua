-- Give a lease up, if it is ours.
-- KEYS: lease, and tries, where this owner has counted itself there and has committed nothing.  ARGV: token.
-- Returns 1: given up; 0: it was not ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 and redis.call('DECR', KEYS[2]) <= 0 then redis.call('DEL', KEYS[2]) end
return redis.call('DEL', KEYS[1])
