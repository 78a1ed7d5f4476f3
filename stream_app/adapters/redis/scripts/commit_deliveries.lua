-- Store what changed among the deliveries, as a whole or not at all.
--
-- KEYS[1]  meta, a hash: epoch (of the latest claim), number (of the last commit), position, last_epoch, last_batch,
--          and count:KIND (entries) of the keys 2 to 7
-- KEYS[2]  deliveries, a hash: id -> delivery
-- KEYS[3]  letters, a hash: id -> letter
-- KEYS[4]  channels, a hash: name -> what is remembered of it
-- KEYS[5]  open, a set: ids of deliveries that are pending
-- KEYS[6]  ended, a sorted set: ids of all others, by the moment at which they ended
-- KEYS[7]  dead, a set: ids of those that are dead
-- KEYS[8]  requests, a list: what people have asked for
-- ARGV[1]  epoch
-- ARGV[2]  id of the batch, unique within the epoch
-- ARGV[3]  base: the number of the commit that this one follows, 0 for the first
-- ARGV[4]  position
-- ARGV[5]  so many requests have been carried out
-- ARGV[6]  to [12], msgpack arrays of strings: deliveries (id, delivery, ...), letters (id, letter, ...), ids of letters
--          that go, channels (name, state, ...), ids opened, ended (moment, id, ...), ids dead
-- returns  the outcome, as in ports.Outcome, or 4: a key lacks entries
--
-- Redis runs a script alone but undoes nothing when it fails: whatever can fail comes before the first write (6).

local DONE, ALREADY_DONE, FENCED, WRONG_BASE, INCOMPLETE = 0, 1, 2, 3, 4
local SLICE = 4000  -- values of one call: Lua's `unpack` fails at about 8000; even, so that no pair is torn
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'last_epoch', 'last_batch')

-- 1. The fence: another deliverer has claimed since.
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) then
  return FENCED
end

-- 2. The retry of a commit whose reply was lost.
if stored[3] == ARGV[1] and stored[4] == ARGV[2] then
  return ALREADY_DONE
end

-- 3. Compare before set.
if (stored[2] or '0') ~= ARGV[3] then
  return WRONG_BASE
end

-- 4. The keys hold as many entries as the last commit left. A key of another type fails here.
local KINDS = {'deliveries', 'letters', 'channels', 'open', 'ended', 'dead'}
local SIZES = {'HLEN', 'HLEN', 'HLEN', 'SCARD', 'ZCARD', 'SCARD'}
for place, kind in ipairs(KINDS) do
  local counted = redis.call('HGET', KEYS[1], 'count:' .. kind)
  if redis.call(SIZES[place], KEYS[1 + place]) ~= tonumber(counted) and counted then
    return INCOMPLETE
  end
end

-- 5. Everything else that may fail: unreadable arguments, requests that are no list.
local lists = {}
for place = 6, 12 do
  local list = cmsgpack.unpack(ARGV[place])
  for _, value in ipairs(list) do
    if type(value) ~= 'string' then
      error('argument ' .. place .. ' holds what is no string')
    end
  end
  lists[place] = list
end
for place = 1, #lists[11], 2 do
  if not tonumber(lists[11][place]) or not lists[11][place + 1] then
    error('a delivery has ended at no moment')
  end
end
redis.call('LLEN', KEYS[8])

-- 6. Writes. The first one is refused as a whole if memory or disk are full; after it Redis refuses none of a script.
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
