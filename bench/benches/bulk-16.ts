/**
 * Question: what does a relayed GiB cost, with 16 bulk streams at once?
 * Setup: 16 streams one way through one relay, plain TCP; CPU time of each process apart.
 * Rivals: all. HAProxy is one thread, without and with splice.
 * Answer: CPU-s a GiB of relay, sending and receiving endpoint; MiB/s; how even the streams are.
 * Fails when the relay takes more than 0.75 × HAProxy (no splice), an endpoint more than 1.0 ×,
 * when throughput is below yamux's, or the slowest stream gets less than 0.8 of the mean.
 */
import { type Bench, limitGoal, ratioGoal } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'

export const bulk16: Bench = {
  name: 'bulk-16',
  question: 'What does a relayed GiB cost, with 16 bulk streams at once?',
  setup: '16 streams one way, plain TCP, writes of 256 KiB; CPU time of each process apart',
  contestants: contestants(
    'ours',
    'ours-apart',
    'ours-unix',
    'haproxy',
    'haproxy-splice',
    'rathole',
    'bore',
    'yamux',
    'wstunnel',
    'ssh',
    'socat',
    'node-pipe',
    'direct',
  ),
  columns: [
    relayCpu,
    senderCpu,
    receiverCpu,
    throughput,
    { key: 'slowestOfMean', head: 'slowest/mean', digits: 2, better: 'more' },
  ],
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'bulk', streams: 16, seconds })
  },
  judge: (rows) => [
    ratioGoal(rows, {
      says: 'relay CPU a GiB ≤ 0.75 × HAProxy',
      key: 'relayCpuSGib',
      rival: 'haproxy',
      atMost: 0.75,
    }),
    ratioGoal(rows, {
      says: 'sending endpoint CPU a GiB ≤ 1.0 × HAProxy',
      key: 'senderCpuSGib',
      rival: 'haproxy',
      rivalKey: 'relayCpuSGib',
      atMost: 1,
    }),
    ratioGoal(rows, {
      says: 'receiving endpoint CPU a GiB ≤ 1.0 × HAProxy',
      key: 'receiverCpuSGib',
      rival: 'haproxy',
      rivalKey: 'relayCpuSGib',
      atMost: 1,
    }),
    ratioGoal(rows, { says: 'MiB/s ≥ yamux', key: 'mibS', rival: 'yamux', atLeast: 1 }),
    limitGoal(rows, { says: 'slowest of 16 streams ≥ 0.8 × mean', key: 'slowestOfMean', atLeast: 0.8 }),
  ],
}
