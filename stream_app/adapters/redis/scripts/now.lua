-- Redis' own clock, the same for all who ask.
--
-- KEYS[1]  any key of the clock: in a cluster its node answers
-- returns  {seconds since 1970, microseconds of them}

return redis.call('TIME')
