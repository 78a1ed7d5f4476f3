-- Store a contact policy and put it in force, unless it was the last one that was published.
--
-- KEYS[1]  contents, a hash: version -> content
-- KEYS[2]  policies, a sorted set: "TIME:VERSION" by time
-- KEYS[3]  time of the last tick, a string
-- ARGV[1]  version
-- ARGV[2]  content
-- ARGV[3]  time from which it is in force, microseconds; '' for now, and later than the last tick
-- returns  {"TIME:VERSION", 1}, or the last entry and 0 if nothing has changed

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local at = ARGV[3]
if at == '' then
  local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if newest[1] and string.match(newest[1], '^[^:]*:(.*)$') == ARGV[1] then
    return {newest[1], 0}
  end
  local now = redis.call('TIME')
  local last = redis.call('GET', KEYS[3])
  at = now[1] * 1000000 + now[2]
  at = math.max(at, (tonumber(newest[2]) or at) + 1, (tonumber(last) or at) + 1)
  at = string.format('%.0f', at)
end
local entry = at .. ':' .. ARGV[1]
return {entry, redis.call('ZADD', KEYS[2], at, entry)}
