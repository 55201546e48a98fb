/** Rows about relays that die, hang or leave. */
import { eventually } from '../../helper/redis.ts'
import type { FaultRow } from '../row.ts'
import { inWorld, wait } from '../world.ts'

export const killRelays: FaultRow = {
  name: 'kill-relays',
  fault: 'SIGKILL one relay; then another, 20 s later',
  means: 'SIGKILL to relay processes, TCP on loopback',
  run: (context) =>
    inWorld('kill-relays', context, {}, async (world) => {
      const { fleet, crowd } = world
      for (const gapMs of [context.isLong ? 20_000 : 4_000, context.isLong ? 10_000 : 4_000]) {
        crowd.mark()
        await fleet.relayAt(crowd.party(0).homeOf('bulk')).kill()
        await wait(gapMs)
        await world.checkStalls(5_000)
      }
    }),
}

/**
 * S is longer than relays believe each other's records (3.5 s): with less, a hung relay still gets
 * newcomers, who then wait for it once more.
 */
const freezeTimes = { silenceMs: 4_000, graceMs: 5_000, keepaliveMs: 1_300 }

export const freezeRelay: FaultRow = {
  name: 'freeze-relay',
  fault: 'SIGSTOP one relay for 30 s, then SIGCONT',
  means: 'SIGSTOP and SIGCONT to a relay process, TCP on loopback',
  run: (given) => {
    const context = given.isLong ? given : { ...given, times: freezeTimes }
    return inWorld('freeze-relay', context, {}, async (world) => {
      const { fleet, crowd } = world
      const { silenceMs } = context.times
      const relay = fleet.relayAt(crowd.party(1).homeOf('bulk'))
      relay.freeze()
      await wait(context.isLong ? 30_000 : 2.5 * silenceMs)
      await world.checkStalls(silenceMs + 2_000)
      crowd.mark()
      relay.thaw()
      await wait(2_000)
      await world.checkStalls(1_000, 'stall when it goes on')
    })
  },
}

export const rolling: FaultRow = {
  name: 'rolling',
  fault: 'SIGTERM each relay in turn (rolling)',
  means: 'SIGTERM to each relay process, its successor started in its place; TCP on loopback',
  run: (context) =>
    inWorld('rolling', context, {}, async (world) => {
      for (const relay of world.fleet.relays) {
        const { code, tookMs } = await relay.leave()
        world.checkTime(
          `relay ${relay.index} ends with 0 within 10 s`,
          code === 0 && tookMs <= 10_000,
          `${code} after ${Math.round(tookMs)} ms`,
        )
        await relay.start()
        await wait(context.isLong ? 5_000 : 1_000)
      }
      await world.checkStalls(1_000)
    }),
}

/** Every party's home is gone within a moment, not all at the same; whoever shares a stream lands anywhere. */
export const bothEnds: FaultRow = {
  name: 'both-ends',
  fault: 'both ends of many streams lose their relay at different moments and land on different ones',
  means: '4 relays, SIGKILL to one and 250 ms later to another; TCP on loopback',
  run: (context) =>
    inWorld('both-ends', context, { relays: 4, streams: { urgent: 2, bulk: 6 } }, async (world) => {
      const { fleet, crowd } = world
      const homes = new Set(crowd.parties.map((party) => party.homeOf('bulk')))
      const [one, other] = [...homes].map((url) => fleet.relayAt(url))
      await one?.kill()
      await wait(250)
      await (other ?? fleet.relays.find((relay) => relay.isRunning))?.kill()
      await wait(context.isLong ? 10_000 : 4_000)
      await world.checkStalls(5_000)
      const landed = new Set(crowd.parties.map((party) => party.homeOf('bulk')))
      world.figures['homes before'] = homes.size
      world.figures['homes after'] = landed.size
      const streams = (await crowd.streams()).length / 2
      const routesNow = async (): Promise<number> => (await fleet.totals()).get('slr_relay_routes') ?? 0
      await eventually('one live route a stream', async () => (await routesNow()) === streams).catch(() => {})
      const routes = await routesNow()
      world.check('one live route a stream', routes === streams, `${routes} routes, ${streams} streams`)
    }),
}
