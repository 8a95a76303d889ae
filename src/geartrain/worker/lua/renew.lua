-- Keep the lease of a partition.
-- KEYS: lease, stream.  ARGV: token, lease TTL in ms, group.
-- Returns 0: the lease is not ours; 1: kept; 2: kept, and the stream has no group of ours; 3: kept, and there is no stream.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[2])
if groups.err then return 3 end
for _, info in ipairs(groups) do
  for i = 1, #info, 2 do
    if info[i] == 'name' and info[i + 1] == ARGV[3] then return 1 end
  end
end
return 2
