-- Take the lease of a partition, and find where its group is; make the group where there is none.
-- KEYS: lease, stream, tries.  ARGV: token, lease TTL in ms, group, id after which to begin ('$': at what was new when it
-- was registered), id just before the time of the registration, TTL of the tries in ms.
-- Returns {0} where another worker has the lease, {-1, error} where the key is no stream, else
-- {1, last delivered id or '' (no stream yet), entries read or -1, how many owners, this one included, have begun with
-- what comes next (0: nothing is there yet)}.
if redis.replicate_commands then redis.replicate_commands() end

local function field(flat, name)
  for i = 1, #flat, 2 do
    if flat[i] == name then return flat[i + 1] end
  end
  return nil
end

local function group_of(groups)
  for _, info in ipairs(groups) do
    if field(info, 'name') == ARGV[3] then return info end
  end
  return nil
end

-- Whether one entry id is before another: by their two numbers, which may be longer than what Lua counts exactly.
local function less(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms == b_ms then a_ms, b_ms = a_seq, b_seq end
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  return a_ms < b_ms
end

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {0} end

local kind = redis.call('TYPE', KEYS[2])['ok']
if kind ~= 'stream' and kind ~= 'none' then return {-1, kind} end

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if kind == 'none' then return {1, '', 0, 0} end

local group = group_of(redis.call('XINFO', 'GROUPS', KEYS[2]))
if not group then
  local begin = ARGV[4]
  if begin == '$' and less(ARGV[5], field(redis.call('XINFO', 'STREAM', KEYS[2]), 'last-generated-id')) then
    -- Something was added since: the stream was found, or its lease came to be free, later than the registration.
    begin = ARGV[5]
  end
  redis.call('XGROUP', 'CREATE', KEYS[2], ARGV[3], begin)
  group = group_of(redis.call('XINFO', 'GROUPS', KEYS[2]))
end

local last = field(group, 'last-delivered-id')
local read = field(group, 'entries-read')
local stream = redis.call('XINFO', 'STREAM', KEYS[2])
local added, first = field(stream, 'entries-added'), field(stream, 'first-entry')
if added and last == '0-0' and field(stream, 'max-deleted-entry-id') then
  -- Nothing read yet: what was trimmed away before counts as read, or the lag would never come down.
  read = added - field(stream, 'length')
end
local tries = 0
if last == field(stream, 'last-generated-id') then
  if added then read = added end
else
  -- The first commit sets it back; an owner that ends before that leaves its mark.
  tries = redis.call('INCR', KEYS[3])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
return {1, last, read or -1, tries}
