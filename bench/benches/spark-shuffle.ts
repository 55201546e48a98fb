/**
 * Question: how much longer does a real Spark shuffle take through the relay?
 * Setup: a sort of 1.1 GiB on 4 executors; through the relay, and beside it the same executors in
 * one shared namespace without us; in turn, so that each run has its pair. Encryption off, and on.
 * Rivals: Spark's own network.
 * A run in which less than 1 GiB was shuffled, by Spark's own count, has no figures.
 * Answer: wall time; median of the paired ratios with its quartiles; CPU share of shims and relay, and with the agent.
 * Fails over 1.10 × wall, over 10 % of the job's CPU, or when the quartiles lie over 10 % apart.
 */
import type { Bench, Rows, Verdict } from '../bench.ts'
import { relayed, runSpark, shared } from '../contestants/spark.ts'
import { quantile } from '../measure/statistics.ts'
import { seconds } from './columns.ts'
import { pairedGoal } from './paired-runs.ts'

function sparkBench(name: string, isEncrypted: boolean): Bench {
  const [ours, theirs] = [relayed(isEncrypted), shared(isEncrypted)]
  return {
    name,
    question: `How much longer does a real Spark shuffle take through the relay${isEncrypted ? ', encrypted' : ''}?`,
    setup:
      'a sort of 1.1 GiB on 4 executors of one core, shuffle files not compressed; from the first task to the last',
    contestants: [ours, theirs],
    columns: [
      seconds('wallS', 'wall, s'),
      seconds('jobCpuS', 'JVMs, CPU-s'),
      seconds('relayCpuS', 'relay, CPU-s'),
      seconds('shimsCpuS', 'shims, CPU-s'),
      seconds('agentCpuS', 'agent, CPU-s'),
      { key: 'oursOfJob', head: 'shims + relay of job', digits: 3, better: 'less' },
      { key: 'allOfJob', head: 'with the agent', digits: 3, better: 'less' },
      { key: 'shuffledGib', head: 'shuffled, GiB', digits: 2, better: 'more' },
    ],
    needs: [],
    window: () => 'a whole sort each',
    measure: (contestant, bed) => runSpark(contestant, bed),
    judge: (rows) => [judgeWall(rows, ours.name, theirs.name), judgeCpu(rows, ours.name)],
  }
}

function judgeWall(rows: Rows, ours: string, theirs: string): Verdict {
  return pairedGoal(rows, {
    says: 'wall ≤ 1.10 × without relay (median of pairs)',
    above: { row: ours, key: 'wallS' },
    below: { row: theirs, key: 'wallS' },
    isMet: (median) => median <= 1.1,
  })
}

function judgeCpu(rows: Rows, ours: string): Verdict {
  const goal = 'shims + relay ≤ 10 % of the job’s CPU'
  const samples = rows.row(ours)?.samples ?? []
  if (samples.length === 0) return { goal, is: 'unknown', says: 'no figures' }
  const share = (...parts: readonly string[]): number =>
    quantile(
      samples.map(
        (sample) =>
          parts.reduce((sum, part) => sum + (sample[part] ?? 0), 0) / (sample.jobCpuS ?? Number.NaN),
      ),
      0.5,
    )
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`
  const mine = share('shimsCpuS', 'relayCpuS')
  const all = share('shimsCpuS', 'relayCpuS', 'agentCpuS')
  return {
    goal,
    is: mine <= 0.1 ? 'met' : 'missed',
    says: `${percent(mine)}; with the agent ${percent(all)}`,
  }
}

export const sparkShuffle = sparkBench('spark-shuffle', false)
export const sparkShuffleEncrypted = sparkBench('spark-shuffle-encrypted', true)
