-- Give a lease up, if it is ours.
-- KEYS: lease, and tries, where this owner has counted itself there and has committed nothing.  ARGV: token.
-- Returns 1: given up; 0: it was not ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local tries = KEYS[2] and tonumber(redis.call('GET', KEYS[2]) or nil)
if tries and tries > 1 then
  redis.call('SET', KEYS[2], tries - 1, 'KEEPTTL')
elseif tries then
  redis.call('DEL', KEYS[2])
end
return redis.call('DEL', KEYS[1])
