/**
 * Question: what does it cost to put the same frames into WebSocket messages?
 * Setup: as bulk-16; native and WebSocket links, plain (real masks, and zero masks, which only the bench has
 * there) and inside TLS (zero masks: whoever cannot break TLS cannot choose bytes); in turn, so that each run
 * has its pair.
 * Rivals: wstunnel, which is made for WebSockets.
 * Answer: relay CPU-s a GiB; median of the paired ratios with its quartiles.
 * Fails when WebSocket with zero masks takes more than 1.6 × native, both plain, or when the quartiles lie
 * over 10 % apart. The same inside TLS, and real masks, are reported.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { LONG_WARMUP_S, runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'
import { pairedGoal, reportPairs } from './paired-runs.ts'

const relayOf = (row: string) => ({ row, key: 'relayCpuSGib' })

export const websocket: Bench = {
  name: 'websocket',
  question: 'What does it cost to put the same frames into WebSocket messages?',
  setup: '16 streams one way; native and WebSocket links, plain and inside TLS',
  contestants: contestants('ours', 'ours-ws-zero', 'ours-ws', 'ours-tls', 'ours-wss', 'wstunnel'),
  columns: [relayCpu, senderCpu, receiverCpu, throughput],
  window: (seconds) => `${seconds} s each, after ${LONG_WARMUP_S} s`,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), {
      case: 'bulk',
      streams: 16,
      warmupS: LONG_WARMUP_S,
      seconds,
    })
  },
  judge: (rows) => [
    pairedGoal(rows, {
      says: 'relay CPU a GiB, zero masks ≤ 1.6 × native (both plain, median of pairs)',
      above: relayOf('ours-ws-zero'),
      below: relayOf('ours'),
      isMet: (median) => median <= 1.6,
    }),
    reportPairs(rows, {
      says: 'relay CPU a GiB, zero masks, against native (both inside TLS, median of pairs)',
      above: relayOf('ours-wss'),
      below: relayOf('ours-tls'),
    }),
    reportPairs(rows, {
      says: 'relay CPU a GiB, real masks, against native (both plain, median of pairs)',
      above: relayOf('ours-ws'),
      below: relayOf('ours'),
    }),
  ],
}
