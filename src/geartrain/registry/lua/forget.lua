-- Delete the lease of a registration that is gone, and its tries, if the lease is still what was read.
-- KEYS: lease, tries.  ARGV: what the lease held; '' for none.  Returns 1: deleted; 0: it is another's now.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
