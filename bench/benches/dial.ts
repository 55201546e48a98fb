/**
 * Question: how long does a new stream take, from dial to first byte?
 * Setup: one connection after the other between two endpoints that are attached; a byte there
 * and back. Then the same with toxiproxy at 10 ms each way before the receiving endpoint, as in
 * round-trip: there each round trip that opening takes shows as 20 ms.
 * Rivals: HAProxy, rathole, yamux, bore.
 * Answer: p50 and p99, µs; p50 over the round trip, ms.
 * Fails when p50 is not below rathole's, or p99 is over 2 ms.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { limitGoal, ratioGoal } from '../goals.ts'
import { NOISE, noiseOf } from '../measure/sample.ts'
import { LONG_WARMUP_S, runLoad, runLoadOver } from '../testbed/load.ts'
import { findProgram, TOXIPROXY } from '../testbed/programs.ts'
import { maxUs, p50Us, p99Us } from './columns.ts'

export const dial: Bench = {
  name: 'dial',
  question: 'How long does a new stream take, from dial to first byte?',
  setup:
    'one connection after the other between attached endpoints, a byte there and back; then with 20 ms of round trip',
  contestants: contestants('ours', 'haproxy', 'rathole', 'bore', 'yamux', 'direct'),
  columns: [p50Us, p99Us, maxUs, { key: 'farP50Ms', head: '20 ms: p50 ms', digits: 1, better: 'less' }],
  isQuick: true,
  without: { [TOXIPROXY]: 'figures with 20 ms' },
  window: (seconds) => `${seconds} s near, after ${LONG_WARMUP_S} s, and ${seconds} s with 20 ms each`,
  async measure(contestant, bed, { seconds }) {
    const near = await runLoad(bed, await contestant.start(bed), {
      case: 'dial',
      warmupS: LONG_WARMUP_S,
      seconds,
    })
    if (findProgram(TOXIPROXY) === undefined) return near
    await bed.close() // bore has but one port to link at
    const far = await runLoadOver(20, bed, contestant, { case: 'dial', seconds })
    return { ...near, farP50Ms: (far.p50Us ?? Number.NaN) / 1_000, [NOISE]: noiseOf(near, far) }
  },
  judge: (rows) => [
    ratioGoal(rows, { says: 'p50 below rathole', key: 'p50Us', rival: 'rathole', atMost: 1 }),
    limitGoal(rows, { says: 'p99 ≤ 2 ms', key: 'p99Us', atMost: 2_000 }),
  ],
}
