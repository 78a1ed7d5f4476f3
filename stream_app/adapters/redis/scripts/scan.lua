-- Return a page of a hash, packed into one string because a Python client reads long replies slowly.
--
-- KEYS[1]  a hash
-- ARGV[1]  cursor; '0' to start
-- ARGV[2]  approximate number of entries
-- returns  {next cursor, '0' at the end; msgpack array of strings: field, value, field, value, ...}

local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
return {page[1], cmsgpack.pack(page[2])}
