/**
 * Question: how long does a new stream take, from dial to first byte?
 * Setup: one connection after the other between two endpoints that are attached; a byte there
 * and back.
 * Rivals: HAProxy, rathole, yamux, bore.
 * Answer: p50 and p99, µs.
 * Fails when p50 is not below rathole's, or p99 is over 2 ms.
 */
import { type Bench, limitGoal, ratioGoal } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { runLoad } from '../testbed/load.ts'
import { maxUs, p50Us, p99Us } from './columns.ts'

export const dial: Bench = {
  name: 'dial',
  question: 'How long does a new stream take, from dial to first byte?',
  setup: 'one connection after the other between attached endpoints, a byte there and back',
  contestants: contestants('ours', 'haproxy', 'rathole', 'bore', 'yamux', 'direct'),
  columns: [p50Us, p99Us, maxUs],
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'dial', seconds })
  },
  judge: (rows) => [
    ratioGoal(rows, { says: 'p50 below rathole', key: 'p50Us', rival: 'rathole', atMost: 1 }),
    limitGoal(rows, { says: 'p99 ≤ 2 ms', key: 'p99Us', atMost: 2_000 }),
  ],
}
