/**
 * Question: what do 4 readers keep when a fifth stops reading?
 * Setup: 4 bulk streams alone, then beside one whose sink never reads, then alone again, all warm.
 * Rivals: HAProxy, rathole, yamux.
 * Answer: share of throughput that the 4 keep, of the mean of before and after; what the way took in for the
 * fifth; growth of memory: the peak beside it, less the peak before it.
 * Fails below 0.97, when in any run the relay grows by more than one link's queue (64 MiB), or an endpoint by
 * more than one window (16 MiB).
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { boundGoal, limitGoal } from '../goals.ts'
import { LONG_WARMUP_S, runLoad } from '../testbed/load.ts'

const grew = (role: string) =>
  ({ key: `${role}PeakGrowthMib`, head: `${role} grew, MiB`, digits: 1, better: 'less' }) as const

export const frozenReader: Bench = {
  name: 'frozen-reader',
  question: 'What do 4 readers keep when a fifth stops reading?',
  setup:
    '4 bulk streams alone, then beside one whose sink never reads, then alone again; growth is that of the peak',
  contestants: contestants('ours', 'haproxy', 'rathole', 'yamux', 'wstunnel'),
  columns: [
    { key: 'keptOfAlone', head: 'kept', digits: 3, better: 'more' },
    { key: 'absorbedMib', head: 'taken in, MiB', digits: 1, better: 'less' },
    grew('relay'),
    grew('sender'),
    grew('receiver'),
  ],
  isQuick: true,
  window: (seconds) =>
    `${seconds} s without, ${seconds} s with it and ${seconds} s without again each, after ${LONG_WARMUP_S} s`,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), {
      case: 'frozen',
      streams: 4,
      warmupS: LONG_WARMUP_S,
      seconds,
    })
  },
  judge: (rows) => [
    limitGoal(rows, { says: 'the others keep ≥ 0.97', key: 'keptOfAlone', atLeast: 0.97 }),
    boundGoal(rows, {
      says: 'relay grows by ≤ one link’s queue (64 MiB)',
      key: 'relayPeakGrowthMib',
      atMost: 64,
    }),
    boundGoal(rows, {
      says: 'receiving endpoint grows by ≤ one window (16 MiB)',
      key: 'receiverPeakGrowthMib',
      atMost: 16,
    }),
    boundGoal(rows, {
      says: 'sending endpoint grows by ≤ one window (16 MiB)',
      key: 'senderPeakGrowthMib',
      atMost: 16,
    }),
  ],
}
