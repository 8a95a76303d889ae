-- Move a partition's offset, if the lease is still ours.
-- KEYS: lease, stream.  ARGV: token, group, id, entries read (-1: unknown, or the server keeps no count), trim (0 or 1).
-- Returns 1: done; 0: the lease is not ours, nothing was changed; 2: there is no stream any more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end

local function move(verb, ...)
  if ARGV[4] == '-1' then return redis.pcall('XGROUP', verb, KEYS[2], ARGV[2], ARGV[3]) end
  return redis.pcall('XGROUP', verb, KEYS[2], ARGV[2], ARGV[3], 'ENTRIESREAD', ARGV[4])
end

if redis.call('EXISTS', KEYS[2]) == 0 then return 2 end
local moved = move('SETID')
if moved.err then
  -- The group is gone (somebody destroyed it, or the stream was made again): go on from here.
  moved = move('CREATE')
  if moved.err then return redis.error_reply(moved.err) end
end

if ARGV[5] == '1' then
  -- Only what every group of the stream has passed; entry ids compare by their two numbers.
  local function parts(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return ms, seq
  end
  local function less(a, b)
    if #a ~= #b then return #a < #b end
    return a < b
  end
  local low_ms, low_seq
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
    for i = 1, #info, 2 do
      if info[i] == 'last-delivered-id' then
        local ms, seq = parts(info[i + 1])
        if not low_ms or less(ms, low_ms) or (ms == low_ms and less(seq, low_seq)) then low_ms, low_seq = ms, seq end
      end
    end
  end
  -- MINID keeps the entry of that id, which is done too: one further. (Lua counts exactly up to 2^53, 16 digits.)
  if #low_seq < 16 then low_seq = string.format('%.0f', tonumber(low_seq) + 1) end
  redis.call('XTRIM', KEYS[2], 'MINID', low_ms .. '-' .. low_seq)
end
return 1
