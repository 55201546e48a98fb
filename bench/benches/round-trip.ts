/**
 * Question: what is left of the throughput when a round trip takes 20 ms?
 * Setup: toxiproxy between the receiving endpoint and the relay (a one-hop proxy: between it and
 * the sink), once at 0 and once at 10 ms each way; one stream, and 16. toxiproxy's CPU time counts
 * for nobody, but it takes its share of the machine: `direct` shows its own ceiling.
 * Rivals: rathole, yamux with windows of 256 KiB and 6 MiB, ssh, direct.
 * Answer: MiB/s.
 * Fails below 0.9 of our own run at 0 ms, or with one stream below 0.8 × rathole.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { limitGoal, ratioGoal } from '../goals.ts'
import { NOISE, noiseOf, type Sample } from '../measure/sample.ts'
import { runLoadOver } from '../testbed/load.ts'
import { TOXIPROXY } from '../testbed/programs.ts'

/** Windows have to grow first. */
const WARMUP_S = 2

const mibS = (key: string, head: string) => ({ key, head, digits: 0, better: 'more' }) as const

export const roundTrip: Bench = {
  name: 'round-trip',
  question: 'What is left of the throughput when a round trip takes 20 ms?',
  setup: 'toxiproxy before the receiving endpoint at 0 ms and at 10 ms each way; 1 stream and 16; MiB/s',
  contestants: contestants('ours', 'rathole', 'yamux', 'yamux-6m', 'ssh', 'direct'),
  columns: [
    mibS('one20', '1 stream, 20 ms'),
    mibS('one0', '1 stream, 0 ms'),
    mibS('sixteen20', '16 streams, 20 ms'),
    mibS('sixteen0', '16 streams, 0 ms'),
  ],
  needs: ['bench-load', TOXIPROXY],
  window: (seconds) => `four windows of ${seconds} s each`,
  async measure(contestant, bed, { seconds }) {
    const sample: Record<string, number> = {}
    const parts: Sample[] = []
    for (const [name, streams] of [
      ['one', 1],
      ['sixteen', 16],
    ] as const) {
      for (const roundTripMs of [20, 0]) {
        const load = { case: 'bulk', streams, seconds, warmupS: WARMUP_S } as const
        const one = await runLoadOver(roundTripMs, bed, contestant, load)
        sample[`${name}${roundTripMs}`] = one.mibS ?? Number.NaN
        parts.push(one)
      }
      sample[`${name}Kept`] = (sample[`${name}20`] ?? Number.NaN) / (sample[`${name}0`] ?? Number.NaN)
    }
    return { ...sample, [NOISE]: noiseOf(...parts) }
  },
  judge: (rows) => [
    limitGoal(rows, { says: '1 stream at 20 ms ≥ 0.9 × the same at 0 ms', key: 'oneKept', atLeast: 0.9 }),
    limitGoal(rows, {
      says: '16 streams at 20 ms ≥ 0.9 × the same at 0 ms',
      key: 'sixteenKept',
      atLeast: 0.9,
    }),
    ratioGoal(rows, {
      says: '1 stream at 20 ms ≥ 0.8 × rathole',
      key: 'one20',
      rival: 'rathole',
      atLeast: 0.8,
    }),
  ],
}
