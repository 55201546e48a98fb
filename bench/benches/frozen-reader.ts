/**
 * Question: what do 4 readers keep when a fifth stops reading?
 * Setup: 4 bulk streams alone, then beside one whose sink never reads.
 * Rivals: HAProxy, rathole, yamux.
 * Answer: share of throughput that the 4 keep; what the way took in for the fifth; growth of memory.
 * Fails below 0.97 of the run without it, when in any run the relay grows by more than one link's queue
 * (64 MiB), or the receiving endpoint by more than one window (16 MiB).
 */
import { type Bench, boundGoal, limitGoal } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { runLoad } from '../testbed/load.ts'

export const frozenReader: Bench = {
  name: 'frozen-reader',
  question: 'What do 4 readers keep when a fifth stops reading?',
  setup: '4 bulk streams alone, then beside one whose sink never reads',
  contestants: contestants('ours', 'haproxy', 'rathole', 'yamux', 'wstunnel'),
  columns: [
    { key: 'kept', head: 'kept', digits: 3, better: 'more' },
    { key: 'absorbedMib', head: 'taken in, MiB', digits: 1, better: 'less' },
    { key: 'relayGrowthMib', head: 'relay grew, MiB', digits: 1, better: 'less' },
    { key: 'receiverGrowthMib', head: 'receiver grew, MiB', digits: 1, better: 'less' },
  ],
  isQuick: true,
  window: (seconds) => `${seconds} s without and ${seconds} s with it each`,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'frozen', streams: 4, seconds })
  },
  judge: (rows) => [
    limitGoal(rows, { says: 'the others keep ≥ 0.97', key: 'kept', atLeast: 0.97 }),
    boundGoal(rows, {
      says: 'relay grows by ≤ one link’s queue (64 MiB)',
      key: 'relayGrowthMib',
      atMost: 64,
    }),
    boundGoal(rows, {
      says: 'endpoint grows by ≤ one window (16 MiB)',
      key: 'receiverGrowthMib',
      atMost: 16,
    }),
  ],
}
