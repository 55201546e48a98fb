/**
 * Question: what does a relayed GiB cost, with 16 bulk streams at once?
 * Setup: 16 streams one way through one relay, plain TCP; CPU time of each process apart.
 * Rivals: all. HAProxy is one thread, without and with splice.
 * Answer: CPU-s a GiB of relay, sending and receiving endpoint; MiB/s, and how much that is of what the CPUs
 * allow; how even the streams are; beside wstunnel's server and rathole's client, to be reported.
 * Fails when the relay takes more than 0.75 × HAProxy (no splice), an endpoint more than 1.0 ×,
 * when throughput is below yamux's, or the slowest stream gets less than 0.8 of the mean.
 */
import { cpus } from 'node:os'
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { limitGoal, ratioGoal, reportGoal } from '../goals.ts'
import type { Sample } from '../measure/sample.ts'
import { runLoad } from '../testbed/load.ts'
import { receiverCpu, relayCpu, senderCpu, throughput } from './columns.ts'
import { cpuGoals } from './cpu-goals.ts'

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
    { key: 'cpuShare', head: 'of what CPUs allow', digits: 2, better: 'more' },
    { key: 'slowestOfMean', head: 'slowest/mean', digits: 2, better: 'more' },
  ],
  isQuick: true,
  async measure(contestant, bed, { seconds }) {
    const sample = await runLoad(bed, await contestant.start(bed), { case: 'bulk', streams: 16, seconds })
    return { ...sample, cpuShare: cpuShare(sample, cpus().length) }
  },
  judge: (rows) => [
    ...cpuGoals(rows, 0.75),
    ratioGoal(rows, { says: 'MiB/s ≥ yamux', key: 'mibS', rival: 'yamux', atLeast: 1 }),
    reportGoal(rows, { says: 'MiB/s, share of what the CPUs allow', key: 'cpuShare' }),
    limitGoal(rows, { says: 'slowest of 16 streams ≥ 0.8 × mean', key: 'slowestOfMean', atLeast: 0.8 }),
  ],
}

/**
 * Throughput, divided by what it would be if every core did nothing but what these processes and the load do
 * for each GiB. Pure. NaN when nothing was moved.
 */
export function cpuShare(sample: Sample, cores: number): number {
  const { mibS = Number.NaN, relayCpuSGib = 0, senderCpuSGib = 0, receiverCpuSGib = 0 } = sample
  const { loadCpuSGib = Number.NaN } = sample
  const cpuSGib = relayCpuSGib + senderCpuSGib + receiverCpuSGib + loadCpuSGib
  return mibS / ((cores * 1024) / cpuSGib)
}
