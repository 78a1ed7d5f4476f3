-- A page of the states of a partition. Packed into one string, since a client in Python reads long replies slowly.
--
-- KEYS[1]  states, a hash
-- ARGV[1]  cursor; '0' begins
-- ARGV[2]  about so many states
-- returns  {next cursor, '0' at the end; msgpack array of strings: customer, state, customer, state, ...}

local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
return {page[1], cmsgpack.pack(page[2])}
