-- Move past sequence numbers that are in Kafka but unknown here, because Redis was restored from a backup.
--
-- Records in the outbox may or may not have been relayed: they get new numbers, after the retractions.
--
-- KEYS[1]  meta of the partition, a hash
-- KEYS[2]  outbox, a list
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  highest sequence number in Kafka
-- ARGV[4]  number of the oldest record in the outbox, or of the next record if it is empty
-- ARGV[5]  retractions, a msgpack array of strings
-- returns  {1, sequence number of the first retraction}; {1, 0} if ARGV[3] is known; {1, -1} if ARGV[4] is no longer correct;
--          {0, registered epoch} if that is greater; or {2, 0} if the outbox lacks records

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
