-- Go on behind sequence numbers that Kafka has seen and this Redis does not know: it was set back to an older file.
--
-- What the outbox still holds has been relayed, since records are relayed in order; it goes. In its place come records that
-- tell the receivers what is void.
--
-- KEYS[1]  meta of the partition, a hash
-- KEYS[2]  outbox, a list
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  the highest sequence number that Kafka has seen
-- ARGV[4]  records, a msgpack array of strings
-- returns  {1, sequence number of the first of these records}, {1, 0} if that number is known: nothing is to be done,
--          or {0, the epoch that is registered} if that is later

local stored = redis.call('HMGET', KEYS[1], 'epoch:' .. ARGV[1], 'sequence')
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[2]) then
  return {0, stored[1]}
end
local seen, records = tonumber(ARGV[3]), cmsgpack.unpack(ARGV[4])
if tonumber(stored[2] or '0') >= seen then
  return {1, 0}
end
redis.call('DEL', KEYS[2])
for _, record in ipairs(records) do
  redis.call('RPUSH', KEYS[2], record)
end
redis.call('HSET', KEYS[1], 'sequence', string.format('%.0f', seen + #records))
return {1, seen + 1}
