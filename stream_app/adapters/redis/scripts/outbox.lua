-- Return records of the outbox in order.
--
-- KEYS[1]  meta of the partition, a hash
-- KEYS[2]  outbox, a list
-- ARGV[1]  return only records with a greater sequence number
-- ARGV[2]  maximum number of records
-- returns  {sequence number of the first record, {record, ...}}

local first = tonumber(redis.call('HGET', KEYS[1], 'sequence') or '0') - redis.call('LLEN', KEYS[2]) + 1
local from = math.max(tonumber(ARGV[1]) + 1, first)
local start = from - first
return {from, redis.call('LRANGE', KEYS[2], start, start + tonumber(ARGV[2]) - 1)}
