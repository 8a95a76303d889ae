-- Keep executions, each under an id of its own.
-- KEYS: all executions, the sequence.  ARGV: two prefixes (bounds.lua), executions to keep, and of each registration, what
-- ids begin with, then for each execution: its registration ('' for none), how many fields, name and value of each.
-- Returns their ids.
local limit, limit_of, shard = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local ids, registrations = {}, {}
local at = 6
while at <= #ARGV do
  local registration, last = ARGV[at], at + 1 + 2 * ARGV[at + 1]
  local number = redis.call('INCR', KEYS[2])
  local id = shard .. '-' .. string.format('%.0f', number)
  redis.call('HSET', execution .. id, unpack(ARGV, at + 2, last))
  redis.call('ZADD', all, number, id)
  if registration ~= '' then
    redis.call('HSET', execution .. id, 'registration', registration)
    redis.call('ZADD', of .. registration, number, id)
    registrations[registration] = true
  end
  ids[#ids + 1] = id
  at = last + 1
end
for registration in pairs(registrations) do bound(of .. registration, limit_of) end
bound(all, limit)
return ids
