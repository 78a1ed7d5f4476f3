-- Delete delivered records from the outbox.
--
-- KEYS[1]  meta of the partition, a hash
-- KEYS[2]  outbox, a list
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  sequence number of the last delivered record
-- returns  {1}; {0, registered epoch} if that is greater; or {2} if the outbox lacks records

local stored = redis.call('HMGET', KEYS[1], 'epoch:' .. ARGV[1], 'sequence', 'count:outbox')
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[2]) then
  return {0, stored[1]}
end
local waiting = redis.call('LLEN', KEYS[2])
if stored[3] and tonumber(stored[3]) ~= waiting then
  return {2}
end
local delivered = tonumber(ARGV[3]) - (tonumber(stored[2] or '0') - waiting)
if delivered > 0 then
  redis.call('LTRIM', KEYS[2], delivered, -1)
  redis.call('HSET', KEYS[1], 'count:outbox', redis.call('LLEN', KEYS[2]))
end
return {1}
