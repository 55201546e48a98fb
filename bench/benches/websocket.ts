/**
 * Question: what does it cost to put the same frames into WebSocket messages?
 * Setup: as bulk-16; native links and WebSocket links, both plain (real masks) and inside TLS
 * (zero masks: whoever cannot break TLS cannot choose bytes).
 * Rivals: wstunnel, which is made for WebSockets.
 * Answer: relay CPU-s a GiB.
 * Fails when WebSocket with zero masks takes more than 1.6 × native, both inside TLS. Real masks
 * are reported.
 */
import { type Bench, ratioGoal } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'

export const websocket: Bench = {
  name: 'websocket',
  question: 'What does it cost to put the same frames into WebSocket messages?',
  setup: '16 streams one way; native and WebSocket links, plain and inside TLS',
  contestants: contestants('ours', 'ours-ws', 'ours-tls', 'ours-wss', 'wstunnel'),
  columns: [relayCpu, senderCpu, receiverCpu, throughput],
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'bulk', streams: 16, seconds })
  },
  judge: (rows) => [
    ratioGoal(rows, {
      says: 'relay CPU a GiB, zero masks ≤ 1.6 × native (both inside TLS)',
      key: 'relayCpuSGib',
      ours: 'ours-wss',
      rival: 'ours-tls',
      atMost: 1.6,
    }),
    {
      ...ratioGoal(rows, {
        says: 'relay CPU a GiB, real masks, against native (both plain)',
        key: 'relayCpuSGib',
        ours: 'ours-ws',
        rival: 'ours',
        atMost: Number.POSITIVE_INFINITY,
      }),
      is: 'report',
    },
  ],
}
