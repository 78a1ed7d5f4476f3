-- Release a lease.
--
-- KEYS[1]  holder of the lease, a string that expires
-- ARGV[1]  holder
-- returns  1 if the holder had the lease, else 0

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
