-- Select the version that ticks activate.
--
-- KEYS[1]  meta, a hash
-- KEYS[2]  versions, a hash: number -> metadata
-- ARGV[1]  number of a version, or '' for the newest
-- returns  {1}, or {0, {number, ...}} with the kept versions if it is not one of them

if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'pinned')
  return {1}
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return {0, redis.call('HKEYS', KEYS[2])}
end
redis.call('HSET', KEYS[1], 'pinned', ARGV[1])
return {1}
