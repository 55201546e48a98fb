/**
 * Question: does a relayed GiB cost the same with more relays, and with more endpoints attached?
 * Setup: 10 senders with a stream each to one receiver: alone; beside 990 endpoints that are
 * attached and idle; and spread over two relay processes. Beside them 5 senders over one relay, which
 * is what each of the two has: what they cost more than 10 is not the second relay's doing.
 * Rivals: none.
 * Answer: relay CPU-s a GiB and reads a MiB, each way.
 * Fails when one differs from the first of its run by more than 15 %, in the median of at least 10 pairs, or when
 * the quartiles of the pairs lie over 10 % apart.
 */
import type { Bench, Rows, Verdict } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { contestants, startWorld } from '../contestants/index.ts'
import { NOISE, noiseOf, type Sample } from '../measure/sample.ts'
import { LONG_WARMUP_S, runLoad } from '../testbed/load.ts'
import type { Testbed } from '../testbed/testbed.ts'
import { pairedGoal } from './paired-runs.ts'

const ACTIVE = 10
const IDLE = 990
/** Of one run each: windows differ by a fifth from run to run, and five pairs resolve nothing. */
const PAIRS = 10

const column = (key: string, head: string) => ({ key, head, digits: 3, better: 'less' }) as const
const reads = (key: string, head: string) =>
  ({ key: `${key}Reads`, head, digits: 1, better: 'less' }) as const

export const scaling: Bench = {
  name: 'scaling',
  question: 'Does a relayed GiB cost the same with more relays, and with more endpoints attached?',
  setup:
    '10 senders with a stream each; alone, beside 990 idle endpoints, and over two relay processes; 5 over one relay, as each of two has; relay CPU-s/GiB',
  contestants: contestants('ours'),
  columns: [
    column('ten', '10 endpoints'),
    column('thousand', '1,000 attached'),
    column('two', '2 relays'),
    column('five', '5 endpoints'),
    reads('ten', '10: reads/MiB'),
    reads('two', '2 relays: reads/MiB'),
    reads('five', '5: reads/MiB'),
  ],
  runs: PAIRS,
  window: (seconds) => `four windows of ${seconds} s each, after ${LONG_WARMUP_S} s`,
  async measure(contestant, bed, { seconds }) {
    const each = {
      ten: await run(bed, contestant, { worlds: 1, active: ACTIVE, idle: 0 }, seconds),
      thousand: await run(bed, contestant, { worlds: 1, active: ACTIVE, idle: IDLE }, seconds),
      two: await run(bed, contestant, { worlds: 2, active: ACTIVE / 2, idle: 0 }, seconds),
      five: await run(bed, contestant, { worlds: 1, active: ACTIVE / 2, idle: 0 }, seconds),
    }
    const sample: Record<string, number> = {}
    for (const [name, one] of Object.entries(each)) {
      sample[name] = one.relayCpuSGib ?? Number.NaN
      sample[`${name}Reads`] = one.relayReadsMib ?? Number.NaN
    }
    return { ...sample, [NOISE]: noiseOf(...Object.values(each)) }
  },
  judge: (rows) => [
    flat(rows, 'thousand', 'CPU a GiB with 1,000 attached within 15 % of 10 (median of pairs)'),
    flat(rows, 'two', 'CPU a GiB over 2 relays within 15 % of 1 (median of pairs)'),
  ],
}

/** Paired: all three are of one run, so that what drifts from run to run falls out. */
function flat(rows: Rows, key: string, says: string): Verdict {
  return pairedGoal(rows, {
    says,
    above: { row: 'ours', key },
    below: { row: 'ours', key: 'ten' },
    leastPairs: PAIRS,
    isMet: (median) => Math.abs(median - 1) <= 0.15,
  })
}

async function run(
  beside: Testbed,
  contestant: Contestant,
  /** `active` and `idle` endpoints of each of so many worlds, a relay process each. */
  shape: { readonly worlds: number; readonly active: number; readonly idle: number },
  seconds: number,
): Promise<Sample> {
  if (contestant.world === undefined) throw new Error('scaling places endpoints of ours')
  const bed = beside.another()
  try {
    const sinkPort = await bed.port()
    const entries: string[] = []
    for (let n = 0; n < shape.worlds; n += 1) {
      const world = await startWorld(bed, contestant.world)
      const ports = await Promise.all(Array.from({ length: shape.active }, () => bed.port()))
      await world.endpoint('receiver', [{ index: 1, serves: ports.map((port) => ({ port, to: sinkPort })) }])
      const senders = ports.map((port, at) => ({
        index: at + 2,
        dials: [{ port, class: 'bulk' as const }],
        bulkThread: false,
      }))
      await world.endpoint('sender', senders)
      entries.push(...ports.map((port) => `127.64.0.1:${port}`))
      if (shape.idle > 0) {
        const idle = Array.from({ length: shape.idle }, (_, at) => ({ index: 100 + at, bulkThread: false }))
        await world.endpoint('helper', idle)
      }
    }
    return await runLoad(
      bed,
      { entries, sinkPort },
      { case: 'bulk', streams: shape.worlds * shape.active, seconds, warmupS: LONG_WARMUP_S },
    )
  } finally {
    await bed.close()
  }
}
