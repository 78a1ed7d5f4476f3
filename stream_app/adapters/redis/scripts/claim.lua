-- Return a new epoch, greater than every earlier one, even if Redis was restored from a backup.
--
-- KEYS[1]  last epoch, a string
-- returns  the epoch: microseconds of the server's clock, or the last epoch + 1 if that is greater
--
-- Repeating the call only skips a number.

local now = redis.call('TIME')
local epoch = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, tonumber(now[1]) * 1000000 + tonumber(now[2]))
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
return epoch
