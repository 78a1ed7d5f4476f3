-- Go on behind sequence numbers that Kafka has seen and this Redis does not know: it was set back to an older file.
--
-- What the outbox still holds may have been relayed or not: it stays, under new numbers, behind the records that tell the
-- receivers what is void.
--
-- KEYS[1]  meta of the partition, a hash
-- KEYS[2]  outbox, a list
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  the highest sequence number that Kafka has seen
-- ARGV[4]  number of the first record that is void; the outbox begins with it, or ends just before it
-- ARGV[5]  records, a msgpack array of strings
-- returns  {1, sequence number of the first of these records}, {1, 0} if the number of ARGV[3] is known: nothing is to be done,
--          {1, -1} if the outbox does not begin there any more: look again,
--          {0, the epoch that is registered} if that is later, or {2, 0} if the outbox lacks records

local stored = redis.call('HMGET', KEYS[1], 'epoch:' .. ARGV[1], 'sequence', 'count:outbox')
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[2]) then
  return {0, stored[1]}
end
local seen, records, sequence = tonumber(ARGV[3]), cmsgpack.unpack(ARGV[5]), tonumber(stored[2] or '0')
local waiting = redis.call('LLEN', KEYS[2])
if stored[3] and tonumber(stored[3]) ~= waiting then
  return {2, 0}
end
if sequence >= seen then
  return {1, 0}
end
if sequence - waiting + 1 ~= tonumber(ARGV[4]) then
  return {1, -1}
end
for place = #records, 1, -1 do
  redis.call('LPUSH', KEYS[2], records[place])
end
redis.call('HSET', KEYS[1], 'sequence', string.format('%.0f', seen + #records + waiting), 'count:outbox', #records + waiting)
return {1, seen + 1}
