-- Store the trainer's checkpoint and, optionally, a new model version, atomically.
--
-- KEYS[1]  meta, a hash: epoch (of the latest claim), number, written_in (epoch), through, checkpoint, newest, pinned,
--          and count:versions, count:snapshots and count:index (entries of the other keys)
-- KEYS[2]  versions, a hash: number -> metadata
-- KEYS[3]  snapshots, a hash: number -> bytes
-- KEYS[4]  index, a sorted set: zero-padded numbers by effective time
-- ARGV[1]  epoch
-- ARGV[2]  base: number of the preceding checkpoint, 0 for the first
-- ARGV[3]  number
-- ARGV[4]  checkpoint
-- ARGV[5]  through
-- ARGV[6]  number of versions to keep besides the pinned one
-- ARGV[7]  number of versions to keep in the index
-- ARGV[8]  number of the new version, or '' for none
-- ARGV[9]  its effective time
-- ARGV[10] its metadata
-- ARGV[11] its bytes
-- returns  {outcome, number of the newest version}; outcomes as in ports.Outcome, 4: a key lacks entries, and 5: the
--          version does not follow the newest one

local DONE, ALREADY_DONE, FENCED, WRONG_BASE, INCOMPLETE, OUT_OF_ORDER = 0, 1, 2, 3, 4, 5
local meta, versions, snapshots, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stored = redis.call('HMGET', meta, 'epoch', 'number', 'written_in', 'newest', 'pinned', 'count:versions',
  'count:snapshots', 'count:index')
local newest, version = tonumber(stored[4] or '0'), tonumber(ARGV[8])

-- 1. The fence: another trainer has claimed since.
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) then
  return {FENCED, newest}
end

-- 2. The retry of a checkpoint whose reply was lost.
if stored[2] == ARGV[3] and stored[3] == ARGV[1] then
  return {ALREADY_DONE, newest}
end

-- 3. Compare before set.
if (stored[2] or '0') ~= ARGV[2] then
  return {WRONG_BASE, newest}
end

-- 4. The other keys must have as many entries as after the last checkpoint. A key of the wrong type fails here.
local function sizes()
  return {redis.call('HLEN', versions), redis.call('HLEN', snapshots), redis.call('ZCARD', index)}
end
for place, found in ipairs(sizes()) do
  if stored[5 + place] and tonumber(stored[5 + place]) ~= found then
    return {INCOMPLETE, newest}
  end
end

-- 5. Everything else that can fail: a version out of order.
if version and version <= newest then
  return {OUT_OF_ORDER, newest}
end

-- 6. Writes. If memory or disk is full, the first one fails and nothing is written.
local function counted()
  local now = sizes()
  redis.call('HSET', meta, 'count:versions', now[1], 'count:snapshots', now[2], 'count:index', now[3])
end
redis.call('HSET', meta, 'number', ARGV[3], 'written_in', ARGV[1], 'checkpoint', ARGV[4], 'through', ARGV[5])
if not version then
  counted()
  return {DONE, newest}
end
redis.call('HSET', meta, 'newest', ARGV[8])
redis.call('HSET', versions, ARGV[8], ARGV[10])
redis.call('HSET', snapshots, ARGV[8], ARGV[11])
redis.call('ZADD', index, ARGV[9], string.format('%020d', version))

-- 7. Delete old versions, but never the pinned one.
redis.call('ZREMRANGEBYRANK', index, 0, -tonumber(ARGV[7]) - 1)
local kept = redis.call('HKEYS', versions)
table.sort(kept, function(a, b) return tonumber(a) > tonumber(b) end)
for place = tonumber(ARGV[6]) + 1, #kept do
  if kept[place] ~= stored[5] then
    redis.call('HDEL', versions, kept[place])
    redis.call('HDEL', snapshots, kept[place])
  end
end
counted()
return {DONE, version}
