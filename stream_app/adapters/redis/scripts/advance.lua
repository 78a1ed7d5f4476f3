-- Raise the value that a lease guards.
--
-- KEYS[1]  holder of the lease, a string that expires
-- KEYS[2]  guarded value, a string
-- ARGV[1]  holder
-- ARGV[2]  value
-- returns  1 if the holder has the lease and the value is now ARGV[2], else 0

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local last = redis.call('GET', KEYS[2])
if last and tonumber(last) > tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
