-- Store a batch of one partition atomically: states, outbox, position and summary.
--
-- KEYS[1]  meta, a hash; keys.py lists its fields
-- KEYS[2]  states, a hash: customer -> state
-- KEYS[3]  outbox, a list of undelivered records; the last one has the number `sequence`
-- KEYS[4]  alerts, a hash: id of an open alert, or id with `:work` -> note (core/alerts/staff_actions.py)
-- ARGV[1]  instance
-- ARGV[2]  epoch
-- ARGV[3]  id of the batch, unique within the epoch
-- ARGV[4]  base: position that the batch was computed from
-- ARGV[5]  position after the batch
-- ARGV[6]  summary
-- ARGV[7]  sequence number of the last delivered record
-- ARGV[8]  states, a msgpack array of strings: customer, state, customer, state, ...
-- ARGV[9]  records, a msgpack array of strings
-- ARGV[10] changed notes, a msgpack array of strings: key, note, key, note, ...; an empty note is deleted
-- ARGV[11] digest of all states after the batch; empty if unknown
-- returns  {outcome, sequence number of the batch's first record}; outcomes as in ports.Outcome, and 4: a key lacks entries
--
-- Redis runs a script in isolation but does not roll it back: everything that can fail comes before the first write (6).

local DONE, ALREADY_DONE, FENCED, WRONG_BASE, INCOMPLETE = 0, 1, 2, 3, 4
local SLICE = 4000  -- values per call: Lua's `unpack` fails at about 8000; even, so that pairs stay together

local meta, states, outbox, alerts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stored = redis.call('HMGET', meta, 'epoch:' .. ARGV[1], 'last_epoch', 'last_batch', 'last_first', 'position', 'sequence',
  'count:states', 'count:outbox', 'count:episodes')

-- 1. The fence: a newer process of this instance owns the partition.
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[2]) then
  return {FENCED, 0}
end

-- 2. A retry of a commit whose reply was lost. The epoch is compared because batch ids restart in every process.
if stored[2] == ARGV[2] and stored[3] == ARGV[3] then
  return {ALREADY_DONE, tonumber(stored[4])}
end

-- 3. Compare before set: the batch must be based on the stored position.
if (stored[5] or '') ~= ARGV[4] then
  return {WRONG_BASE, 0}
end

-- 4. The other keys must have as many entries as after the last commit. A key of the wrong type fails here.
local waiting = redis.call('LLEN', outbox)
local found = {redis.call('HLEN', states), waiting, redis.call('HLEN', alerts)}
for place = 1, #found do
  if stored[6 + place] and tonumber(stored[6 + place]) ~= found[place] then
    return {INCOMPLETE, 0}
  end
end

-- 5. Everything else that can fail: invalid arguments.
local function strings(packed)
  local list = cmsgpack.unpack(packed)
  for place = 1, #list do
    if type(list[place]) ~= 'string' then
      error('argument ' .. place .. ' of the batch is not a string')
    end
  end
  return list
end
local pairs_, records, notes = strings(ARGV[8]), strings(ARGV[9]), strings(ARGV[10])
if #pairs_ % 2 ~= 0 or #notes % 2 ~= 0 then
  error('a customer of the batch has no state, or a note is missing')
end
local sequence, relayed = tonumber(stored[6] or '0'), tonumber(ARGV[7])

-- 6. Writes. If memory or disk is full, the first one fails and nothing is written; Redis refuses no later write.
local function write(command, key, list)
  for from = 1, #list, SLICE do
    redis.call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list)))
  end
end
write('HSET', states, pairs_)
write('RPUSH', outbox, records)
for place = 1, #notes, 2 do
  if notes[place + 1] == '' then
    redis.call('HDEL', alerts, notes[place])
  else
    redis.call('HSET', alerts, notes[place], notes[place + 1])
  end
end

-- 7. Delete delivered records, but never those of this batch.
local delivered = math.min(relayed - (sequence - waiting), waiting)
if delivered > 0 then
  redis.call('LTRIM', outbox, delivered, -1)
end

-- 8. Update meta.
redis.call('HSET', meta, 'position', ARGV[5], 'summary', ARGV[6], 'sequence', string.format('%.0f', sequence + #records),
  'last_epoch', ARGV[2], 'last_batch', ARGV[3], 'last_first', string.format('%.0f', sequence + 1),
  'count:states', redis.call('HLEN', states), 'count:outbox', redis.call('LLEN', outbox),
  'count:episodes', redis.call('HLEN', alerts))
if ARGV[11] == '' then
  redis.call('HDEL', meta, 'digest')
else
  redis.call('HSET', meta, 'digest', ARGV[11])
end
return {DONE, sequence + 1}
