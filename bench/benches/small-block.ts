/**
 * Question: how long does a small block take beside 16 long ones of the same class?
 * Setup: a request of 130 B and a reply of 64 KiB, one after the other, on a bulk stream beside
 * 16 bulk streams that take what they get.
 * Rivals: HAProxy, rathole, yamux.
 * Answer: p50 and p99, ms. To be reported: what fairness between busy streams is worth.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { reportGoal, reportRatio } from '../goals.ts'
import { runLoad } from '../testbed/load.ts'
import { p50Ms, p99Ms, throughput } from './columns.ts'

export const smallBlock: Bench = {
  name: 'small-block',
  question: 'How long does a small block take beside 16 long ones of the same class?',
  setup: 'request 130 B, reply 64 KiB on a bulk stream beside 16 others',
  contestants: contestants('ours', 'haproxy', 'rathole', 'yamux'),
  columns: [p50Ms, p99Ms, throughput],
  plot: 'p99Ms',
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), {
      case: 'block',
      streams: 16,
      conns: 1,
      inflight: 1,
      requestBytes: 130,
      replyBytes: 64 << 10,
      seconds,
    })
  },
  judge: (rows) => [
    reportGoal(rows, { says: 'p99 of a small block beside 16 long ones, ms', key: 'p99Ms' }),
    reportRatio(rows, {
      says: 'the same against HAProxy',
      key: 'p99Ms',
      rival: 'haproxy',
    }),
  ],
}
