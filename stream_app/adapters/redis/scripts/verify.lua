-- Count the entries of a store's keys, to detect keys that were deleted, evicted or overwritten since the last commit.
--
-- KEYS[1]  meta, a hash: count:KIND for each kind below, written by every commit
-- KEYS[2]  and following: the other keys of the store
-- ARGV[1]  field of meta that every commit writes
-- ARGV[2]  and following: kinds of those keys
-- returns  {1 if anything was committed, else 0; for each key: entries stored (-1: not counted yet), entries found}

local SIZES = {hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD'}
local reply = {redis.call('HEXISTS', KEYS[1], ARGV[1])}
for place = 2, #KEYS do
  local size = SIZES[redis.call('TYPE', KEYS[place]).ok]
  reply[#reply + 1] = tonumber(redis.call('HGET', KEYS[1], 'count:' .. ARGV[place]) or '-1')
  reply[#reply + 1] = size and redis.call(size, KEYS[place]) or 0
end
return reply
