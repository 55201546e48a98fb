/** Rows about the directory: relays cut off from it, Redis gone and empty, Redis failing over. */
import { FaultProxy } from '../../helper/fault-proxy.ts'
import {
  eventually,
  freePort,
  type RedisGroup,
  type RedisServer,
  startSentinels,
} from '../../helper/redis.ts'
import type { Party } from '../party.ts'
import type { FaultRow, RowContext, RowResult } from '../row.ts'
import { inWorld, type World, wait } from '../world.ts'

const RELAYS = 3

/** A world whose relays reach Redis each by a proxy of its own. */
async function inProxiedWorld(
  row: string,
  context: RowContext,
  plot: (world: World, proxies: readonly FaultProxy[]) => Promise<void>,
): Promise<RowResult> {
  const proxies: FaultProxy[] = []
  return await inWorld(
    row,
    context,
    {
      relays: RELAYS,
      before: async (server) => {
        for (let index = 0; index < RELAYS; index++)
          proxies.push(
            await FaultProxy.start(
              `127.0.0.1:${await freePort()}`,
              `127.0.0.1:${(server as RedisServer).port}`,
            ),
          )
        return async () => void (await Promise.all(proxies.map((proxy) => proxy.stop())))
      },
      redis: (index) => `redis://${(proxies[index] as FaultProxy).listen}`,
    },
    (world) => plot(world, proxies),
  )
}

const moves = (parties: readonly Party[]): number =>
  parties.reduce((sum, party) => sum + party.count('attached'), 0)

export const cutOneOff: FaultRow = {
  name: 'redis-cut-one',
  fault: 'one relay of three cut off from Redis',
  means: 'the relay reaches Redis by a TCP proxy of the test, which resets and refuses',
  run: (context) =>
    inProxiedWorld('redis-cut-one', context, async (world, proxies) => {
      const { fleet, crowd } = world
      const relay = fleet.relayAt(crowd.party(0).homeOf('bulk'))
      proxies[relay.index]?.cutOff()
      const isAtHome = (): number =>
        crowd.parties.filter(
          (party) => party.homeOf('bulk') === relay.url || party.homeOf('urgent') === relay.url,
        ).length
      const beganMs = performance.now()
      await eventually('its endpoints have moved', () => isAtHome() === 0, 30_000).catch(() => {})
      world.check(
        'its endpoints move to other relays',
        isAtHome() === 0,
        `${isAtHome()} left after ${Math.round(performance.now() - beganMs)} ms`,
      )
      world.check(
        'it is not ready',
        !(await relay.isReady()),
        `readyz ${(await relay.isReady()) ? 'yes' : 'no'}`,
      )
      await wait(1_000)
      await world.checkStalls(5_000)
      ;(proxies[relay.index] as FaultProxy).refusedPercent = 0
      await eventually('it is ready again', () => relay.isReady(), 15_000)
    }),
}

export const cutAllOff: FaultRow = {
  name: 'redis-cut-all',
  fault: 'all relays cut off from Redis',
  means: 'TCP proxies of the test between relays and Redis, which reset and refuse',
  run: (context) =>
    inProxiedWorld('redis-cut-all', context, async (world, proxies) => {
      const before = moves(world.crowd.parties)
      for (const proxy of proxies) proxy.cutOff()
      await wait(context.isLong ? 30_000 : 10_000)
      const after = moves(world.crowd.parties)
      world.checkTime('nobody moves', after === before, `${after - before} moves`)
      await world.checkStalls(1_000)
      for (const proxy of proxies) proxy.refusedPercent = 0
      await wait(2_000)
    }),
}

/** Leases in Redis by now: their keys, whatever they are called, as a relay writes one an address and class. */
function keys(redis: RedisServer): number {
  return Number(redis.tryCli('dbsize')?.trim() ?? '0')
}

export const emptyRedis: FaultRow = {
  name: 'redis-empty',
  fault: 'Redis SIGKILLed for 30 s, then empty on return',
  means: 'SIGKILL to the redis-server, started again with nothing in it',
  run: (context) =>
    inWorld('redis-empty', context, {}, async (world) => {
      const { crowd } = world
      const redis = world.redisServer
      const leasesBefore = keys(redis)
      const before = moves(crowd.parties)
      await redis.kill()
      await wait(1_000)
      const late = await crowd.add(6)
      await wait(context.isLong ? 29_000 : 6_000)
      world.check(
        'a new endpoint waits',
        late.count('attached') === 0 && late.count('failed') === 0,
        `${late.count('attached')} attached`,
      )
      const backMs = performance.now()
      await redis.start()
      await late.attached(20_000)
      world.figures['new endpoint joined after ms'] = Math.round(performance.now() - backMs)
      await eventually('leases are back', () => keys(redis) >= leasesBefore, 20_000).catch(() => {})
      const rebuiltMs = performance.now() - backMs
      world.checkTime(
        'leases are rebuilt within 5 s',
        keys(redis) >= leasesBefore && rebuiltMs <= 5_000,
        `${keys(redis)} of ${leasesBefore} keys after ${Math.round(rebuiltMs)} ms`,
      )
      crowd.open(6, 0, 'bulk', 1)
      crowd.open(1, 6, 'bulk', 1)
      await crowd.untilFlowing(context.times.graceMs + 10_000)
      world.figures['moves of the others'] = moves(crowd.parties.slice(0, 6)) - before
      await world.checkStalls(context.times.silenceMs + 2_000)
    }),
}

export const failover: FaultRow = {
  name: 'redis-failover',
  fault: 'Redis failover (Sentinel)',
  means: 'a master, a replica and three Sentinels; SIGKILL to the master',
  run: (context) => {
    let group: RedisGroup | undefined
    return inWorld(
      'redis-failover',
      context,
      {
        before: async () => {
          group = await startSentinels()
          return async () => void (await group?.stop())
        },
        redis: () => group?.url as string,
      },
      async (world) => {
        const { crowd } = world
        const before = moves(crowd.parties)
        await group?.servers[0]?.kill()
        const beganMs = performance.now()
        const late = await crowd.add(6)
        await late.attached(30_000)
        world.figures['a new endpoint joined after ms'] = Math.round(performance.now() - beganMs)
        crowd.open(6, 0, 'bulk', 1)
        await crowd.untilFlowing()
        await wait(3_000)
        world.checkTime(
          'nobody moves',
          moves(crowd.parties.slice(0, 6)) === before,
          `${moves(crowd.parties.slice(0, 6)) - before} moves`,
        )
        await world.checkStalls(1_000)
      },
    )
  },
}
