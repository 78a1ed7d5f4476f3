-- Keep the ids of the topics in which the positions of a store count.
--
-- KEYS[1]  meta, a hash: topic:ROLE -> id
-- ARGV[1]  the field of meta that every commit writes: before it is there, nothing was read, and the ids are replaced
-- ARGV[2]  and further: role, id, role, id, ...
-- returns  the ids that are kept, in the order of the roles

local committed = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
local kept = {}
for place = 2, #ARGV, 2 do
  local field = 'topic:' .. ARGV[place]
  local id = committed and redis.call('HGET', KEYS[1], field)
  if not id then
    id = ARGV[place + 1]
    redis.call('HSET', KEYS[1], field, id)
  end
  kept[#kept + 1] = id
end
return kept
