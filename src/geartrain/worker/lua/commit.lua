-- Move a partition's offset, if the lease is still ours.
-- KEYS: lease, stream, and tries at an owner's first commit.
-- ARGV: token, group, id, entries read (-1: unknown), trim (0 or 1), settled (1: all that was read is done; the count is
-- then compared with the server's, which also counts entries that were deleted unread).
-- Returns 0: the lease is not ours, nothing was changed; 2: there is no stream any more; else {1, entries read or -1},
-- or {3, -1}: as 1, and the server keeps no count (before Redis 7.0).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('TYPE', KEYS[2])['ok'] ~= 'stream' then return 2 end

local function field(flat, name)
  for i = 1, #flat, 2 do
    if flat[i] == name then return flat[i + 1] end
  end
  return nil
end

local id, count = ARGV[3], tonumber(ARGV[4])
if ARGV[6] == '1' then
  local stream = redis.call('XINFO', 'STREAM', KEYS[2])
  if field(stream, 'last-generated-id') == id then count = field(stream, 'entries-added') or -1 end
end

local function move(verb, read)
  if read < 0 then return redis.pcall('XGROUP', verb, KEYS[2], ARGV[2], id) end
  return redis.pcall('XGROUP', verb, KEYS[2], ARGV[2], id, 'ENTRIESREAD', read)
end

local function set_or_create(read)
  local moved = move('SETID', read)
  -- The group is gone (somebody destroyed it, or the stream was made again): go on from here.
  if moved.err then moved = move('CREATE', read) end
  return moved
end

local outcome, moved = 1, set_or_create(count)
if moved.err and count >= 0 then
  outcome, count, moved = 3, -1, set_or_create(-1)
end
if moved.err then return redis.error_reply(moved.err) end
if KEYS[3] then redis.call('DEL', KEYS[3]) end

if ARGV[5] == '1' then
  -- Only what every group of the stream is done with; entry ids compare by their two numbers.
  local low_ms, low_seq
  local function at_most(ms, seq)
    local function less(a, b)
      if #a ~= #b then return #a < #b end
      return a < b
    end
    if not low_ms or less(ms, low_ms) or (ms == low_ms and less(seq, low_seq)) then low_ms, low_seq = ms, seq end
  end
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
    local ms, seq = string.match(field(info, 'last-delivered-id'), '^(%d+)-(%d+)$')
    -- MINID keeps the entry of that id, which is done too: one further. (Lua counts exactly up to 2^53, 16 digits.)
    if #seq < 16 then seq = string.format('%.0f', tonumber(seq) + 1) end
    at_most(ms, seq)
    if field(info, 'pending') > 0 then
      -- Other consumers' group: what was delivered and not acknowledged is not done.
      at_most(string.match(redis.call('XPENDING', KEYS[2], field(info, 'name'))[2], '^(%d+)-(%d+)$'))
    end
  end
  redis.call('XTRIM', KEYS[2], 'MINID', low_ms .. '-' .. low_seq)
end
return {outcome, count}
