-- Store the ids of the topics to which the positions of a store refer.
--
-- KEYS[1]  meta, a hash: topic:ROLE -> id
-- ARGV[1]  field of meta that every commit writes; until it exists, stored ids are replaced
-- ARGV[2]  and following: role, id, role, id, ...
-- returns  stored ids, in the order of the roles

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
