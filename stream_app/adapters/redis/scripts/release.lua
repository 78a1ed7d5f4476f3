-- Give a lease back.
--
-- KEYS[1]  the lease, a string that expires: its holder
-- ARGV[1]  holder
-- returns  1 if the holder had it, else 0

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
