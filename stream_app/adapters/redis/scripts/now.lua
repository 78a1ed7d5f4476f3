-- Return the clock of Redis, which is the same for all clients.
--
-- KEYS[1]  any key of the clock; selects the node of a cluster
-- returns  {seconds since 1970, microseconds of them}

return redis.call('TIME')
