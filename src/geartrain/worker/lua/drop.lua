-- Remove an outbox in which nothing waits any more.
-- KEYS: the outbox.  Returns 1: it is gone; 0: something waits.
if redis.call('TYPE', KEYS[1])['ok'] == 'stream' and #redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1) > 0 then
  return 0
end
redis.call('DEL', KEYS[1])
return 1
