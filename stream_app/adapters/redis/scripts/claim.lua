-- Begin a life: give an epoch that is greater than every earlier one, also if Redis was set back to an older file.
--
-- KEYS[1]  the last epoch, a string
-- returns  the epoch, microseconds of this server's clock where that is greater
--
-- A repetition only skips a number.

local now = redis.call('TIME')
local epoch = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, tonumber(now[1]) * 1000000 + tonumber(now[2]))
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
return epoch
