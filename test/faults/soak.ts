/**
 * Random faults for a while: relays killed, frozen and replaced, links reset, silenced and slowed,
 * dials refused, Redis away or cut off from one relay, endpoints stopped and readers frozen. Every
 * byte is checked, and what relays and endpoints hold in the end is compared with the beginning.
 * Used by scripts/soak.ts.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { FaultProxy } from '../helper/fault-proxy.ts'
import { eventually, freePort, RedisServer } from '../helper/redis.ts'
import { Crowd } from './crowd.ts'
import { Fleet, type Times } from './fleet.ts'
import { Journal } from './journal.ts'
import type { Party } from './party.ts'
import { mulberry } from './random.ts'
import { StandstillWatch } from './standstill.ts'
import { wait } from './world.ts'

const RELAYS = 3
const PARTIES = 6

export interface SoakResult {
  readonly seed: number
  readonly minutes: number
  readonly faults: Readonly<Record<string, number>>
  readonly streams: number
  readonly bytes: number
  readonly longestStallMs: number
  /** The longest time in which this process itself, which is nearly idle, got no turn: so long the machine stood still. */
  readonly longestStandstillMs: number
  /** Sentences; empty: all is well. */
  readonly wrong: readonly string[]
  /** The most that any endpoint had, while its streams were new and when all were over. */
  readonly endpoints: Readonly<Record<'before' | 'after', Held>>
}

interface Held {
  readonly descriptors: number
  /** In V8's heap and outside of it, after a collection. */
  readonly liveBytes: number
  /** Of the process: also what the allocators keep. */
  readonly rssBytes: number
}

/** Code that was compiled since, and answers that are kept: nothing of it grows with time. */
const LIVE_SLACK_BYTES = 8 * 1024 * 1024
/** What allocators keep is theirs: from 99 to 106 MiB within the first minutes, and no more. */
const RSS_SLACK_BYTES = 24 * 1024 * 1024

/** How much of the journal is told when a stream stalled for long or was lost, ms. */
const TOLD_MS = 60_000

async function weigh(party: Party): Promise<Held> {
  const { heapBytes, externalBytes, rssBytes } = await party.weigh()
  const descriptors = readdirSync(`/proc/${party.pid}/fd`).length
  return { descriptors, liveBytes: heapBytes + externalBytes, rssBytes }
}
function mostOf(all: readonly Held[]): Held {
  const most = (what: keyof Held): number => Math.max(...all.map((one) => one[what]))
  return { descriptors: most('descriptors'), liveBytes: most('liveBytes'), rssBytes: most('rssBytes') }
}

export async function soak(
  options: { readonly minutes: number; readonly seed: number; readonly times: Times },
  say: (line: string) => void,
): Promise<SoakResult> {
  const { times } = options
  const random = mulberry(options.seed)
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  const redis = await RedisServer.start()
  const toRedis: FaultProxy[] = []
  for (let i = 0; i < RELAYS; i++)
    toRedis.push(await FaultProxy.start(`127.0.0.1:${await freePort()}`, `127.0.0.1:${redis.port}`, random))
  const starting: Promise<FaultProxy>[] = []
  const fleet = await Fleet.start({
    relays: RELAYS,
    times,
    redis: (index) => `redis://${(toRedis[index] as FaultProxy).listen}`,
    listen: (index, folder) => `unix:${join(folder, `r${index}.sock`)}`,
    advertise: (index, folder) => {
      const url = `unix:${join(folder, `p${index}.sock`)}`
      starting.push(FaultProxy.start(url, `unix:${join(folder, `r${index}.sock`)}`, random))
      return url
    },
  })
  const proxies = await Promise.all(starting)
  let crowd: Crowd | undefined
  let standstill: StandstillWatch | undefined
  const counts: Record<string, number> = {}
  const wrong: string[] = []
  try {
    crowd = await Crowd.start(fleet, { parties: PARTIES })
    const { parties } = crowd
    const journal = new Journal(fleet, parties)
    const tell = (): void => {
      for (const line of journal.lately(TOLD_MS)) say(line)
    }
    const stoodStill = new StandstillWatch((ms) => {
      journal.note(`this machine stood still for ${Math.round(ms)} ms`)
    })
    standstill = stoodStill
    await crowd.mesh({ urgent: 1, bulk: 2 })
    await wait(3_000)
    const before = await Promise.all(parties.map(weigh))
    crowd.mark()
    const address = (): string => pick(parties).address
    // Each fault mends itself before the next one begins, but for what the endpoints make of it.
    const faults: Readonly<Record<string, () => Promise<void>>> = {
      'relay killed': async () => {
        const relay = pick(fleet.relays)
        await relay.kill()
        await wait(random() * 2 * times.graceMs)
        await relay.start()
      },
      'relay frozen': async () => {
        const relay = pick(fleet.relays)
        relay.freeze()
        await wait(random() * 3 * times.silenceMs)
        relay.thaw()
      },
      'relay replaced': async () => {
        const relay = pick(fleet.relays)
        const { code, tookMs } = await relay.leave()
        if (code !== 0 || tookMs > 10_500)
          wrong.push(`a relay left with ${code} after ${Math.round(tookMs)} ms`)
        await relay.start()
      },
      'links reset': async () => pick(proxies).resetAll(),
      'links of one endpoint silent': async () => {
        const victim = address()
        for (const proxy of proxies)
          for (const link of proxy.linksOf(victim)) link.silence(pick(['both', 'to-target', 'to-client']))
        // Stopped before it has found that, it would be away for longer than silence and grace: that may cost streams.
        await wait(times.silenceMs)
      },
      'links cut after some bytes': async () => {
        for (const link of pick(proxies).links) link.cutAfter(Math.floor(random() * 300_000))
        await wait(500)
      },
      'one endpoint slow': async () => {
        const victim = address()
        for (const proxy of proxies) proxy.shapeLinksOf(victim, { latencyMs: 100, bytesPerSecond: 1_250_000 })
        await wait(random() * 5_000)
        for (const proxy of proxies) proxy.shapeLinksOf(victim, undefined)
      },
      'dials refused': async () => {
        for (const proxy of proxies) proxy.refusedPercent = 30
        pick(proxies).resetAll()
        await wait(2_000)
        for (const proxy of proxies) proxy.refusedPercent = 0
      },
      'Redis killed': async () => {
        await redis.kill()
        await wait(random() * 2 * times.silenceMs)
        await redis.start()
      },
      'one relay cut off from Redis': async () => {
        const proxy = pick(toRedis)
        proxy.cutOff()
        await wait(random() * 10_000)
        proxy.refusedPercent = 0
      },
      'endpoint frozen': async () => {
        const party = pick(parties)
        party.signal('SIGSTOP')
        await wait(random() * (times.silenceMs + times.graceMs / 2))
        party.signal('SIGCONT')
      },
      'reader frozen': async () => {
        const party = pick(parties)
        party.tell({ do: 'freeze' })
        await wait(random() * 4_000)
        party.tell({ do: 'thaw' })
      },
    }
    const until = performance.now() + options.minutes * 60_000
    let lookMs = performance.now()
    let longestMs = 2 * (times.silenceMs + times.graceMs) // faults that follow each other may add up to it
    while (performance.now() < until && wrong.length === 0) {
      const name = pick(Object.keys(faults))
      counts[name] = (counts[name] ?? 0) + 1
      say(`${Math.round((until - performance.now()) / 1000)} s left: ${name}`)
      journal.note(name)
      await faults[name]?.()
      journal.note(`${name}: mended`)
      await wait(random() * 3_000)
      if (performance.now() - lookMs < 20_000) continue
      lookMs = performance.now()
      const streams = await crowd.streams()
      for (const one of streams) {
        if (one.wrongAt !== undefined)
          wrong.push(`stream ${one.tag}: a wrong byte at or after ${one.wrongAt}`)
        if (one.state !== 'open') wrong.push(`stream ${one.tag} to ${one.peer} is ${one.state}`)
      }
      const [worst] = [...streams].sort((a, b) => b.stallMs - a.stallMs)
      if (worst === undefined) continue
      const { tag, peer, stallMs } = worst
      say(
        `${streams.length / 2} streams, longest stall so far ${Math.round(stallMs)} ms, stream ${tag} to ${peer}`,
      )
      if (stallMs > longestMs || wrong.length > 0) tell()
      longestMs = Math.max(longestMs, stallMs)
    }
    await wait(2 * times.graceMs)
    const stalls = await crowd.stalls()
    const outcome = await crowd.finish(60_000)
    wrong.push(...outcome.faults)
    const held = async (): Promise<number> => {
      const totals = await fleet.totals()
      return (
        (totals.get('slr_relay_routes') ?? 0) +
        (totals.get('slr_relay_queued_bytes') ?? 0) +
        (totals.get('slr_relay_parked_opens') ?? 0)
      )
    }
    await eventually('the relays have let go', async () => (await held()) === 0, 30_000).catch(async () =>
      wrong.push(`relays still hold ${await held()} routes, queued bytes and parked opens`),
    )
    const after = await Promise.all(parties.map(weigh))
    for (const [at, one] of after.entries()) {
      const first = before[at] as Held
      // Links to all three relays may be there that were not at first.
      if (one.descriptors > first.descriptors + 8)
        wrong.push(`endpoint ${at} has ${one.descriptors} descriptors, ${first.descriptors} at first`)
      if (one.liveBytes > first.liveBytes + LIVE_SLACK_BYTES)
        wrong.push(`endpoint ${at} holds ${one.liveBytes} bytes, ${first.liveBytes} at first`)
      if (one.rssBytes > first.rssBytes + RSS_SLACK_BYTES)
        wrong.push(`endpoint ${at} takes ${one.rssBytes} bytes, ${first.rssBytes} at first`)
    }
    return {
      seed: options.seed,
      minutes: options.minutes,
      faults: counts,
      streams: outcome.streams,
      bytes: outcome.bytes,
      longestStallMs: Math.round(stalls.at(-1) ?? 0),
      longestStandstillMs: Math.round(stoodStill.longestMs),
      wrong,
      endpoints: { before: mostOf(before), after: mostOf(after) },
    }
  } finally {
    standstill?.stop()
    await crowd?.end()
    await fleet.stop()
    await Promise.all([...proxies, ...toRedis].map((proxy) => proxy.stop()))
    await redis.stop()
  }
}
