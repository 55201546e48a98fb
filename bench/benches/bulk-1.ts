/**
 * Question: what does a relayed GiB cost, with a single stream?
 * Setup: one stream one way through one relay, plain TCP.
 * Rivals: as in bulk-16, without those that tell nothing new.
 * Answer: CPU-s a GiB of relay, sending and receiving endpoint; MiB/s; beside wstunnel's server and
 * rathole's client, to be reported.
 * Fails when the relay or an endpoint takes more than 1.0 × HAProxy (no splice).
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'
import { cpuGoals } from './cpu-goals.ts'

export const bulk1: Bench = {
  name: 'bulk-1',
  question: 'What does a relayed GiB cost, with a single stream?',
  setup: '1 stream one way, plain TCP, writes of 256 KiB',
  contestants: contestants('ours', 'haproxy', 'haproxy-splice', 'rathole', 'yamux', 'wstunnel', 'direct'),
  columns: [relayCpu, senderCpu, receiverCpu, throughput],
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    return runLoad(bed, await contestant.start(bed), { case: 'bulk', streams: 1, seconds })
  },
  judge: (rows) => cpuGoals(rows, 1),
}
