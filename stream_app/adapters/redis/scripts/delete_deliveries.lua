-- Delete deliveries that ended long ago, and the messages of dead ones.
--
-- KEYS[1]  meta, a hash: epoch, and count:KIND (entries) of the other keys
-- KEYS[2]  deliveries, a hash
-- KEYS[3]  letters, a hash
-- KEYS[4]  ended, a sorted set
-- KEYS[5]  dead, a set
-- ARGV[1]  epoch
-- ARGV[2]  delete deliveries that ended before this moment
-- ARGV[3]  number of ended deliveries to keep, latest first
-- ARGV[4]  maximum number of deliveries to delete
-- returns  {1, number deleted}; {0, registered epoch} if that is greater; or {2, 0} if a key lacks entries

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then
  return {0, epoch}
end
local KINDS = {'deliveries', 'letters', 'ended', 'dead'}
local SIZES = {'HLEN', 'HLEN', 'ZCARD', 'SCARD'}
for place, kind in ipairs(KINDS) do
  local counted = redis.call('HGET', KEYS[1], 'count:' .. kind)
  if redis.call(SIZES[place], KEYS[1 + place]) ~= tonumber(counted) and counted then
    return {2, 0}
  end
end
local most = tonumber(ARGV[4])
local ids = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[2], 'LIMIT', 0, most)
local surplus = math.min(redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[3]), most)
if surplus > #ids then
  ids = redis.call('ZRANGE', KEYS[4], 0, surplus - 1)
end
for _, id in ipairs(ids) do
  local delivery = redis.call('HGET', KEYS[2], id)
  local readable, record = pcall(cjson.decode, delivery or '')
  local letter = readable and type(record) == 'table' and record['letter']
  if letter then
    redis.call('HDEL', KEYS[3], letter)
  end
  redis.call('HDEL', KEYS[2], id)
  redis.call('SREM', KEYS[5], id)
  redis.call('ZREM', KEYS[4], id)
end
if #ids > 0 then
  for place, kind in ipairs(KINDS) do
    redis.call('HSET', KEYS[1], 'count:' .. kind, redis.call(SIZES[place], KEYS[1 + place]))
  end
end
return {1, #ids}
