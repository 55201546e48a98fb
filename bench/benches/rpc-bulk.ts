/**
 * Question: how long does a small request take beside 16 bulk streams?
 * Setup: as rpc, on an urgent stream, while 16 bulk streams between the same two endpoints take
 * what the machine gives.
 * Rivals: HAProxy, rathole, yamux, bore, ssh, wstunnel. They know no classes.
 * Answer: p50, p99 and the longest, ms; what the bulk streams moved meanwhile.
 * Fails when p50 is over 1 ms or p99 over 0.5 × HAProxy's; with a relay process a class, and with one for both.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { limitGoal, ratioGoal } from '../goals.ts'
import { runLoad } from '../testbed/load.ts'
import { throughput } from './columns.ts'

export const rpcBulk: Bench = {
  name: 'rpc-bulk',
  question: 'How long does a small request take beside 16 bulk streams?',
  setup: 'request 128 B, reply 512 B on an urgent stream, beside 16 bulk streams of the same endpoints',
  contestants: contestants('ours', 'ours-apart', 'haproxy', 'rathole', 'bore', 'yamux', 'wstunnel', 'ssh'),
  columns: [
    { key: 'p50Ms', head: 'p50 ms', digits: 2, better: 'less' },
    { key: 'p99Ms', head: 'p99 ms', digits: 2, better: 'less' },
    { key: 'maxMs', head: 'max ms', digits: 1, better: 'less' },
    throughput,
  ],
  plot: 'p99Ms',
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    const sample = await runLoad(bed, await contestant.start(bed), { case: 'rpc', streams: 16, seconds })
    const ms = (key: string): number => (sample[key] ?? Number.NaN) / 1_000
    return { ...sample, p50Ms: ms('p50Us'), p99Ms: ms('p99Us'), maxMs: ms('maxUs') }
  },
  judge: (rows) => [
    limitGoal(rows, {
      says: 'p50 ≤ 1 ms, a relay process a class',
      key: 'p50Ms',
      ours: 'ours-apart',
      atMost: 1,
    }),
    ratioGoal(rows, {
      says: 'p99 ≤ 0.5 × HAProxy, a relay process a class',
      key: 'p99Ms',
      ours: 'ours-apart',
      rival: 'haproxy',
      atMost: 0.5,
    }),
    limitGoal(rows, { says: 'p50 ≤ 1 ms, one relay process for both classes', key: 'p50Ms', atMost: 1 }),
    ratioGoal(rows, {
      says: 'p99 ≤ 0.5 × HAProxy, one relay process for both classes',
      key: 'p99Ms',
      rival: 'haproxy',
      atMost: 0.5,
    }),
  ],
}
