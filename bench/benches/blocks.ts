/**
 * Question: how fast are blocks fetched the way Spark fetches them?
 * Setup: requests of 130 B, replies of 4 MiB, 4 in flight on each of 4 connections.
 * Rivals: HAProxy, rathole, yamux, bore, ssh, wstunnel, direct.
 * Answer: MiB/s; p50 and p99 of a block, from request to last byte, ms; what went through in all during the
 * lives of the slowest 1 %, of the mean: near 1 their neighbours starved them, well below 1 everything stood still.
 * Fails below yamux's throughput, or with a p99 above rathole's.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { ratioGoal } from '../goals.ts'
import { LONG_WARMUP_S, runLoad } from '../testbed/load.ts'
import { p50Ms, p99Ms, relayCpu, throughput } from './columns.ts'

export const blocks: Bench = {
  name: 'blocks',
  question: 'How fast are blocks fetched the way Spark fetches them?',
  setup: 'requests of 130 B, replies of 4 MiB, 4 in flight on each of 4 connections',
  contestants: contestants('ours', 'haproxy', 'rathole', 'bore', 'yamux', 'wstunnel', 'ssh', 'direct'),
  columns: [
    throughput,
    p50Ms,
    p99Ms,
    relayCpu,
    { key: 'p99DipShare', head: 'MiB/s beside the slowest 1 %, of mean', digits: 2, better: 'more' },
  ],
  isQuick: true,
  window: (seconds) => `${seconds} s each, after ${LONG_WARMUP_S} s`,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), {
      case: 'block',
      conns: 4,
      inflight: 4,
      requestBytes: 130,
      replyBytes: 4 << 20,
      warmupS: LONG_WARMUP_S,
      seconds,
    })
  },
  judge: (rows) => [
    ratioGoal(rows, { says: 'MiB/s ≥ yamux', key: 'mibS', rival: 'yamux', atLeast: 1 }),
    ratioGoal(rows, { says: 'p99 of a block ≤ rathole', key: 'p99Ms', rival: 'rathole', atMost: 1 }),
  ],
}
