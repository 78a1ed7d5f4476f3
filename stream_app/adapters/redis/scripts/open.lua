-- Register a life of an instance at a partition, and read what is stored there.
--
-- KEYS[1]  meta of the partition, a hash
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  so many instances are remembered; of more than that, those whose epochs are oldest are forgotten
-- returns  {1, position, summary, last sequence number}, or {0, the epoch that is registered} if that is later

local meta, mine, epoch = KEYS[1], 'epoch:' .. ARGV[1], tonumber(ARGV[2])

-- 1. The fence.
local registered = redis.call('HGET', meta, mine)
if registered and tonumber(registered) > epoch then
  return {0, registered}
end
redis.call('HSET', meta, mine, ARGV[2])

-- 2. Where every start has a name of its own, names would pile up for ever.
local known = {}
for _, field in ipairs(redis.call('HKEYS', meta)) do
  if string.sub(field, 1, 6) == 'epoch:' and field ~= mine then
    known[#known + 1] = {field, tonumber(redis.call('HGET', meta, field))}
  end
end
table.sort(known, function(a, b) return a[2] > b[2] end)
for place = tonumber(ARGV[3]), #known do
  redis.call('HDEL', meta, known[place][1])
end

-- 3. What is stored.
local stored = redis.call('HMGET', meta, 'position', 'summary', 'sequence')
return {1, stored[1] or '', stored[2] or '', stored[3] or '0'}
