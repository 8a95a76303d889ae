-- What the scripts about executions share: they are kept within bounds, and only ended ones are dropped.
-- KEYS[1]: all executions.  ARGV[1], ARGV[2]: what keys of an execution, and of a registration's executions, begin with.
-- The names of those keys are made here, because what a bound pushes out is known only here; all are in one slot.
local all, execution, of = KEYS[1], ARGV[1], ARGV[2]
local ended = {done = true, aborted = true}

local function drop(id)
  local registration = redis.call('HGET', execution .. id, 'registration')
  redis.call('ZREM', all, id)
  if registration then redis.call('ZREM', of .. registration, id) end
  redis.call('DEL', execution .. id)
end

local function bound(index, limit)
  local excess, at = redis.call('ZCARD', index) - limit, 0
  while excess > 0 do
    local id = redis.call('ZRANGE', index, at, at)[1]
    if not id then return end
    local status = redis.call('HGET', execution .. id, 'status')
    if status and not ended[status] then
      at = at + 1
    else
      drop(id)
      excess = excess - 1
    end
  end
end
