/**
 * Question: what happens to a reader, and to the relay, when 32 senders write to it at once?
 * Setup: 32 sending endpoints with a stream each to one receiving endpoint with the default
 * budget of 32 MiB; beside it the same with one sender. All senders live in one process without
 * worker threads. Relay and endpoints are built: a checkout's would begin with a TypeScript compiler in
 * memory, and what the load takes would hide in what that gives back.
 * Rivals: none: what is asked is whether credit bounds memory.
 * Answer: the peak of memory, from idle to the load's end, above idle, MiB; throughput, and its share of a single
 * sender's.
 * Fails when in any run reader or relay take more than 48 MiB above idle, or goodput is below 0.9 of one
 * sender's.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { contestants, startWorld } from '../contestants/index.ts'
import { boundGoal, limitGoal } from '../goals.ts'
import { NOISE, noiseOf, type Sample } from '../measure/sample.ts'
import { runLoad } from '../testbed/load.ts'
import type { Testbed } from '../testbed/testbed.ts'

const SENDERS = 32
/** After it, what is resident is what an idle relay and an idle reader have. */
const SETTLE_MS = 3_000

export const incast: Bench = {
  name: 'incast',
  question: 'What happens to a reader, and to the relay, when 32 senders write to it at once?',
  setup:
    '32 endpoints with a stream each to one endpoint with a budget of 32 MiB, built as they are shipped; one of them alone beside it; memory at its peak',
  contestants: contestants('ours'),
  columns: [
    { key: 'receiverPeakAboveIdleMib', head: 'reader above idle, MiB', digits: 1, better: 'less' },
    { key: 'relayPeakAboveIdleMib', head: 'relay above idle, MiB', digits: 1, better: 'less' },
    { key: 'mibS', head: 'MiB/s', digits: 0, better: 'more' },
    { key: 'ofOne', head: 'of one sender’s', digits: 2, better: 'more' },
  ],
  window: (seconds) => `${seconds} s of one and ${seconds} s of ${SENDERS} each`,
  async measure(contestant, bed, { seconds }) {
    const other = bed.another()
    let alone: Sample
    try {
      alone = await run(contestant, other, 1, seconds)
    } finally {
      await other.close()
    }
    const together = await run(contestant, bed, SENDERS, seconds)
    return {
      ...together,
      [NOISE]: noiseOf(alone, together),
      ofOne: (together.mibS ?? Number.NaN) / (alone.mibS ?? Number.NaN),
    }
  },
  judge: (rows) => [
    boundGoal(rows, { says: 'reader ≤ 48 MiB above idle', key: 'receiverPeakAboveIdleMib', atMost: 48 }),
    boundGoal(rows, { says: 'relay ≤ 48 MiB above idle', key: 'relayPeakAboveIdleMib', atMost: 48 }),
    limitGoal(rows, { says: 'goodput ≥ 0.9 of one sender’s', key: 'ofOne', atLeast: 0.9 }),
  ],
}

async function run(contestant: Contestant, bed: Testbed, senders: number, seconds: number): Promise<Sample> {
  if (contestant.world === undefined) throw new Error('incast places endpoints of ours')
  const world = await startWorld(bed, { ...contestant.world, isBuilt: true })
  const sinkPort = await bed.port()
  const ports = await Promise.all(Array.from({ length: senders }, () => bed.port()))
  await world.endpoint('receiver', [{ index: 1, serves: ports.map((port) => ({ port, to: sinkPort })) }])
  await world.endpoint(
    'sender',
    // Each listens at a port of its own: they share one network namespace.
    ports.map((port, at) => ({
      index: at + 2,
      dials: [{ port, class: 'bulk' as const }],
      bulkThread: false,
    })),
  )
  await wait(SETTLE_MS)
  const idle = bed.read() // from here on peaks are counted
  const entries = { entries: ports.map((port) => `127.64.0.1:${port}`), sinkPort }
  const sample = await runLoad(bed, entries, { case: 'bulk', streams: senders, seconds })
  const above = (role: 'receiver' | 'relay'): number =>
    (sample[`${role}PeakMib`] ?? Number.NaN) - (idle.byRole.get(role)?.residentBytes ?? 0) / 2 ** 20
  return { ...sample, receiverPeakAboveIdleMib: above('receiver'), relayPeakAboveIdleMib: above('relay') }
}
