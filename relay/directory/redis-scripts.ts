/**
 * What Redis does in one step: a Lua script for each operation of a directory. Every key of one
 * address carries the same hash tag, so that a script stays on one node of a Cluster. Times and
 * expiries are by Redis's clock. Used by redis.ts only.
 *
 * An address has three keys: `…:urgent` and `…:bulk`, a hash for each live lease that Redis
 * itself lets expire, and `…:address` with what outlives them: `retired`, the highest token
 * generation that is over, and `epoch`, the highest that was given.
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly lua: string
  readonly sha: string
  readonly keys: number
}

function script(keys: number, lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex'), keys }
}

const NOW = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`

// ARGV: 1 generation, 2 incarnation, 3 counter, 4 node, 5 urls, 6 ttl, 7 how long the address is remembered
const LEASE = `
local function write(epoch)
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'inc', ARGV[2], 'counter', ARGV[3], 'node', ARGV[4], 'urls', ARGV[5], 'epoch', epoch)
end
local generation = tonumber(ARGV[1])
local known = redis.call('HMGET', KEYS[2], 'retired', 'epoch')
local retired = tonumber(known[1] or '-1')
local highest = tonumber(known[2] or '0')
if generation <= retired then return {'retired', known[1]} end
local function keep(epoch)
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('HSET', KEYS[2], 'retired', string.format('%.0f', math.max(retired, generation - 1)), 'epoch', string.format('%.0f', math.max(highest, tonumber(epoch))))
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end`

/** KEYS lease, address. ARGV 8: epochs begin here at least, 9: channel, 10: the hint, epoch in front. */
export const claimScript = script(
  2,
  `${LEASE}${NOW}
local held = redis.call('HMGET', KEYS[1], 'gen', 'inc', 'counter')
if held[1] and tonumber(held[1]) == generation then
  if held[2] ~= ARGV[2] then return {'taken', ''} end
  if tonumber(held[3]) >= tonumber(ARGV[3]) then return {'superseded', held[3]} end
end
local epoch = string.format('%.0f', math.max(highest + 1, now, tonumber(ARGV[8])))
write(epoch)
keep(epoch)
redis.call('PUBLISH', ARGV[9], epoch .. ' ' .. ARGV[10])
return {'ok', epoch}`,
)

/** KEYS lease, address. ARGV 8: the lease's epoch. An older epoch gives way: Redis may have come back without the newest writes. */
export const renewScript = script(
  2,
  `${LEASE}
local held = redis.call('HGET', KEYS[1], 'epoch')
if held and tonumber(held) > tonumber(ARGV[8]) then return {'superseded', held} end
if held ~= ARGV[8] then write(ARGV[8]) end
keep(ARGV[8])
return {'ok', ARGV[8]}`,
)

/** KEYS lease. ARGV 1: epoch, 2: channel, 3: the hint. */
export const releaseScript = script(
  1,
  `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
return 1`,
)

/** KEYS lease. Answers its fields and the ms it has left, or nothing. */
export const lookupScript = script(
  1,
  `
local held = redis.call('HMGET', KEYS[1], 'gen', 'inc', 'counter', 'node', 'urls', 'epoch')
if not held[1] then return {} end
held[7] = tostring(redis.call('PTTL', KEYS[1]))
return held`,
)

/** KEYS address. Answers the highest generation that is over, or nothing. */
export const retiredScript = script(1, `return redis.call('HGET', KEYS[1], 'retired')`)

/** KEYS address, both leases. ARGV 1: generation, 2: how long it is remembered, 3: channel, 4: the hint. */
export const retireScript = script(
  3,
  `
local generation = tonumber(ARGV[1])
local retired = tonumber(redis.call('HGET', KEYS[1], 'retired') or '-1')
if generation > retired then redis.call('HSET', KEYS[1], 'retired', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 2, 3 do
  local held = redis.call('HGET', KEYS[i], 'gen')
  if held and tonumber(held) <= generation then redis.call('DEL', KEYS[i]) end
end
redis.call('PUBLISH', ARGV[3], '0 ' .. ARGV[4])
return 1`,
)

/**
 * KEYS the live nodes, the mark of birth. ARGV 1: node, 2: its record ('' for none), 3: ttl.
 * Answers how long ago this Redis began empty, in ms, and all live records.
 */
export const beatScript = script(
  2,
  `${NOW}
local born = redis.call('GET', KEYS[2])
if not born then
  born = string.format('%.0f', now)
  redis.call('SET', KEYS[2], born)
end
local answer = { string.format('%.0f', now - tonumber(born)) }
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + tonumber(ARGV[3])) .. ' ' .. ARGV[2])
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local space = string.find(all[i + 1], ' ', 1, true)
  if tonumber(string.sub(all[i + 1], 1, space - 1)) < now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    answer[#answer + 1] = string.sub(all[i + 1], space + 1)
  end
end
return answer`,
)

/** KEYS a mark of birth. Answers how long ago the node of a Cluster that has it began empty, ms. */
export const markScript = script(
  1,
  `${NOW}
local born = redis.call('GET', KEYS[1])
if born then return string.format('%.0f', now - tonumber(born)) end
redis.call('SET', KEYS[1], string.format('%.0f', now))
return '0'`,
)
