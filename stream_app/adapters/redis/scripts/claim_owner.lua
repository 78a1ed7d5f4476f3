-- Become the only process that may write the keys under a hash tag.
--
-- KEYS[1]  meta, a hash
-- ARGV[1]  instance, for display
-- ARGV[2]  token of this claim: retrying a claim whose reply was lost returns the same epoch
-- ARGV[3]  field for the instance
-- returns  the epoch, greater than every earlier one, even if Redis was restored from a backup

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'claim')
if stored[2] == ARGV[2] then
  return tonumber(stored[1])
end
local now = redis.call('TIME')
local epoch = math.max(tonumber(stored[1] or '0') + 1, tonumber(now[1]) * 1000000 + tonumber(now[2]))
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'claim', ARGV[2], ARGV[3], ARGV[1])
return epoch
