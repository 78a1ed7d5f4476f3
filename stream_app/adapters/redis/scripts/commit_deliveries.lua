-- Store changes of deliveries atomically.
--
-- KEYS[1]  meta, a hash; keys.py lists its fields
-- KEYS[2]  deliveries, a hash: id -> delivery
-- KEYS[3]  letters, a hash: id -> message
-- KEYS[4]  channels, a hash: name -> state
-- KEYS[5]  open, a set: ids of pending deliveries
-- KEYS[6]  ended, a sorted set: ids of all other deliveries by the time they ended
-- KEYS[7]  dead, a set: ids of dead deliveries
-- KEYS[8]  requests, a list: requests of users
-- ARGV[1]  epoch
-- ARGV[2]  id of the batch, unique within the epoch
-- ARGV[3]  base: number of the preceding commit, 0 for the first
-- ARGV[4]  position
-- ARGV[5]  number of executed requests
-- ARGV[6]  to [12], msgpack arrays of strings: deliveries (id, delivery, ...), messages (id, message, ...), ids of deleted
--          messages, channels (name, state, ...), ids opened, ended (moment, id, ...), ids dead
-- returns  the outcome, as in ports.Outcome, or 4: a key lacks entries
--
-- Redis runs a script in isolation but does not roll it back: everything that can fail comes before the first write (6).

local DONE, ALREADY_DONE, FENCED, WRONG_BASE, INCOMPLETE = 0, 1, 2, 3, 4
local SLICE = 4000  -- values per call: Lua's `unpack` fails at about 8000; even, so that pairs stay together
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'last_epoch', 'last_batch')

-- 1. The fence: another notifier has claimed since.
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) then
  return FENCED
end

-- 2. A retry of a commit whose reply was lost.
if stored[3] == ARGV[1] and stored[4] == ARGV[2] then
  return ALREADY_DONE
end

-- 3. Compare before set.
if (stored[2] or '0') ~= ARGV[3] then
  return WRONG_BASE
end

-- 4. The keys must have as many entries as after the last commit. A key of the wrong type fails here.
local KINDS = {'deliveries', 'letters', 'channels', 'open', 'ended', 'dead'}
local SIZES = {'HLEN', 'HLEN', 'HLEN', 'SCARD', 'ZCARD', 'SCARD'}
for place, kind in ipairs(KINDS) do
  local counted = redis.call('HGET', KEYS[1], 'count:' .. kind)
  if redis.call(SIZES[place], KEYS[1 + place]) ~= tonumber(counted) and counted then
    return INCOMPLETE
  end
end

-- 5. Everything else that can fail: invalid arguments, requests that are not a list.
local lists = {}
for place = 6, 12 do
  local list = cmsgpack.unpack(ARGV[place])
  for _, value in ipairs(list) do
    if type(value) ~= 'string' then
      error('argument ' .. place .. ' contains a value that is not a string')
    end
  end
  lists[place] = list
end
for place = 1, #lists[11], 2 do
  if not tonumber(lists[11][place]) or not lists[11][place + 1] then
    error('an ended delivery has no moment')
  end
end
redis.call('LLEN', KEYS[8])

-- 6. Writes. If memory or disk is full, the first one fails and nothing is written; Redis refuses no later write.
local function write(command, key, list)
  for from = 1, #list, SLICE do
    redis.call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list)))
  end
end
redis.call('HSET', KEYS[1], 'number', string.format('%.0f', tonumber(ARGV[3]) + 1), 'position', ARGV[4],
  'last_epoch', ARGV[1], 'last_batch', ARGV[2])
write('HSET', KEYS[2], lists[6])
write('HSET', KEYS[3], lists[7])
write('HDEL', KEYS[3], lists[8])
write('HSET', KEYS[4], lists[9])
write('SADD', KEYS[5], lists[10])
write('ZREM', KEYS[6], lists[10])
write('SREM', KEYS[7], lists[10])
write('ZADD', KEYS[6], lists[11])
for place = 2, #lists[11], 2 do
  redis.call('SREM', KEYS[5], lists[11][place])
end
write('SADD', KEYS[7], lists[12])
for place, kind in ipairs(KINDS) do
  redis.call('HSET', KEYS[1], 'count:' .. kind, redis.call(SIZES[place], KEYS[1 + place]))
end
if tonumber(ARGV[5]) > 0 then
  redis.call('LTRIM', KEYS[8], ARGV[5], -1)
end
return DONE
