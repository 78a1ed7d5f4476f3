-- Register a process as the owner of a partition, and return what is stored.
--
-- KEYS[1]  meta of the partition, a hash
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  number of instances to keep, newest epochs first
-- returns  {1, position, summary, last sequence number}, or {0, registered epoch} if that is greater

local meta, mine, epoch = KEYS[1], 'epoch:' .. ARGV[1], tonumber(ARGV[2])

-- 1. The fence.
local registered = redis.call('HGET', meta, mine)
if registered and tonumber(registered) > epoch then
  return {0, registered}
end
redis.call('HSET', meta, mine, ARGV[2])

-- 2. Delete old instances: if every process has its own name, they would accumulate.
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

-- 3. Return what is stored.
local stored = redis.call('HMGET', meta, 'position', 'summary', 'sequence')
return {1, stored[1] or '', stored[2] or '', stored[3] or '0'}
