-- Become the only deliverer.
--
-- KEYS[1]  meta of the deliveries, a hash
-- ARGV[1]  instance, for people
-- ARGV[2]  token of this claim: the retry of a claim whose reply was lost gets the same epoch
-- returns  the epoch, greater than every earlier one, also if Redis was set back to an older file

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'claim')
if stored[2] == ARGV[2] then
  return tonumber(stored[1])
end
local now = redis.call('TIME')
local epoch = math.max(tonumber(stored[1] or '0') + 1, tonumber(now[1]) * 1000000 + tonumber(now[2]))
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'claim', ARGV[2], 'deliverer', ARGV[1])
return epoch
