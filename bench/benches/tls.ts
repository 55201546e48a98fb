/**
 * Question: what does TLS on both links cost the relay?
 * Setup: as bulk-16, every link inside TLS 1.3; beside it HAProxy, which terminates TLS on one
 * side and originates it on the other, between two more HAProxies as endpoints.
 * Rivals: haproxy-tls, ssh.
 * Answer: relay CPU-s a GiB; endpoints beside it. To be reported.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { reportGoal, reportRatio } from '../goals.ts'
import { runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'

export const tls: Bench = {
  name: 'tls',
  question: 'What does TLS on both links cost the relay?',
  setup: '16 streams one way, TLS 1.3 with AES-128-GCM on each link',
  contestants: contestants('ours-tls', 'haproxy-tls', 'ssh'),
  columns: [relayCpu, senderCpu, receiverCpu, throughput],
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'bulk', streams: 16, seconds })
  },
  judge: (rows) => [
    reportGoal(rows, {
      says: 'relay CPU-s a GiB with TLS on both links',
      key: 'relayCpuSGib',
      ours: 'ours-tls',
    }),
    reportRatio(rows, {
      says: 'the same against HAProxy',
      key: 'relayCpuSGib',
      ours: 'ours-tls',
      rival: 'haproxy-tls',
    }),
  ],
}
