-- Add to a registration's statistics and history, if there is such a registration: what is removed stays removed.
-- KEYS: its statistics, its history, and registrations (not on a shard that has them not).
-- ARGV: its id, executions to keep, how many counters, name and amount of each, how many fields, name and value of each,
-- then the executions, the oldest first.  Returns 1: done; 0: there is no such registration.
if KEYS[3] and redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then return 0 end

local at = 3
local function pairs_of(apply)
  local last = at + 2 * tonumber(ARGV[at])
  for i = at + 1, last, 2 do apply(ARGV[i], ARGV[i + 1]) end
  at = last + 1
end

pairs_of(function(name, amount) redis.call('HINCRBY', KEYS[1], name, amount) end)
pairs_of(function(name, value) redis.call('HSET', KEYS[1], name, value) end)
if at <= #ARGV then
  for i = at, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[i]) end
  redis.call('LTRIM', KEYS[2], 0, ARGV[2] - 1)
end
return 1
