/**
 * Question: how long does a small request take when nothing else goes on?
 * Setup: 128 B there, 512 B back, one after the other on one urgent stream; after 5 s of them, and
 * apart from that the first 1.5 s, of which no goal speaks but the one of stalls.
 * Rivals: HAProxy (one hop less each way), rathole, yamux, bore, ssh, wstunnel, direct.
 * Answer: p50, p99 and the longest, µs; how many stalled for 35 ms or more; p99 of the first 1.5 s.
 * Fails when p50 is over 2.5 × rathole's (we have one hop more each way), when p99/p50 is over
 * 1.5 × rathole's, or when one run has a stall, in its first seconds too.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { boundGoal, ratioGoal } from '../goals.ts'
import { NOISE, noiseOf, type Sample } from '../measure/sample.ts'
import { runLoad } from '../testbed/load.ts'
import { maxUs, p50Us, p99Us } from './columns.ts'

/** Node compiles its hot code in the first seconds, beside the requests; a relay then lives for days. */
const WARMUP_S = 5
const COLD_S = 1.5
/** What Nagle meeting a delayed acknowledgement looks like: the kernel's 40 ms, less a tick of its clock. */
const STALL_MS = 35

export const rpc: Bench = {
  name: 'rpc',
  question: 'How long does a small request take when nothing else goes on?',
  setup:
    'request 128 B, reply 512 B, one after the other on one urgent stream, after 5 s of them; “cold”: in the first 1.5 s',
  contestants: contestants('ours', 'haproxy', 'rathole', 'bore', 'yamux', 'wstunnel', 'ssh', 'direct'),
  columns: [
    p50Us,
    p99Us,
    maxUs,
    { key: 'p99OverP50', head: 'p99/p50', digits: 2, better: 'less' },
    { key: 'coldP99Us', head: 'cold p99 µs', digits: 0, better: 'less' },
    // Not the key of results of before, which counted those of the window alone.
    { key: 'stalls', head: `stalls ≥ ${STALL_MS} ms`, digits: 0, better: 'less' },
  ],
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    const entries = await contestant.start(bed)
    const cold = await runLoad(bed, entries, {
      case: 'rpc',
      warmupS: 0,
      seconds: COLD_S,
      stallMs: STALL_MS,
    })
    const sample = await runLoad(bed, entries, { case: 'rpc', warmupS: WARMUP_S, seconds, stallMs: STALL_MS })
    return {
      ...sample,
      p99OverP50: (sample.p99Us ?? Number.NaN) / (sample.p50Us ?? Number.NaN),
      coldP99Us: cold.p99Us ?? Number.NaN,
      // A stall is one, cold or warm, in a window or before it: compiling takes no 35 ms.
      stalls: stallsOf(cold) + stallsOf(sample),
      coldStalls: stallsOf(cold),
      [NOISE]: noiseOf(cold, sample),
    }
  },
  judge: (rows) => [
    ratioGoal(rows, { says: 'p50 ≤ 2.5 × rathole', key: 'p50Us', rival: 'rathole', atMost: 2.5 }),
    ratioGoal(rows, { says: 'p99/p50 ≤ 1.5 × rathole’s', key: 'p99OverP50', rival: 'rathole', atMost: 1.5 }),
    boundGoal(rows, { says: `no stalls of ${STALL_MS} ms`, key: 'stalls', atMost: 0 }),
  ],
}

/** Of the window and of what went before it. Pure. */
export function stallsOf({ stalls40ms = Number.NaN, warmupStalls = Number.NaN }: Sample): number {
  return stalls40ms + warmupStalls
}
