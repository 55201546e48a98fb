/**
 * Question: how much longer does the demo's job take through the relay?
 * Setup: demo/job.py with the demo's settings, Spark's own encryption on as the agent turns it on,
 * on 4 executors; through the relay, and beside it the same executors in one shared namespace
 * without us; in turn. Timed by the job itself: its steps, the wait for the executors in the first.
 * Rivals: Spark's own network.
 * Answer: seconds of all steps and of each; median of the paired ratios. No goal: `spark-shuffle` has it.
 */
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench, Rows, Verdict } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { relayed, shared, startDriver } from '../contestants/spark.ts'
import type { Sample } from '../measure/sample.ts'
import { pairedRatio } from '../measure/statistics.ts'
import { root } from '../testbed/programs.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'

/** As scripts/demo.ts has them. */
const ORDERS = 2_600_000
const CUSTOMERS = 30_000

const [ours, theirs] = [relayed(true), shared(true)]
const seconds = (key: string, head: string) => ({ key, head, digits: 1, better: 'less' }) as const

export const sparkDemo: Bench = {
  name: 'spark-demo',
  question: 'How much longer does the demo’s job take through the relay?',
  setup:
    'demo/job.py on 4 executors of one core, encrypted, as `npm run demo` runs it; seconds as the job counts them',
  contestants: [ours, theirs],
  columns: [
    seconds('wallS', 'all steps, s'),
    seconds('joinS', 'start, join, aggregate, sort, s'),
    seconds('cacheS', 'cache, large results, s'),
    seconds('sortS', 'sort everything, s'),
  ],
  measure: (contestant, bed) => runDemo(contestant, bed),
  judge: (rows) => [judgeWall(rows)],
}

async function runDemo(contestant: Contestant, bed: Testbed): Promise<Sample> {
  const resultFile = join(bed.dir, 'result.json')
  const driver = await startDriver(contestant, bed, {
    memory: '600m',
    isEncrypted: true,
    confDir: join(root, 'demo/conf'),
    settings: {
      'spark.sql.shuffle.partitions': '16',
      'spark.locality.wait': '0',
      'spark.scheduler.minRegisteredResourcesRatio': '1',
      'spark.ui.showConsoleProgress': 'false',
    },
    program: [join(root, 'demo/job.py'), resultFile, String(ORDERS), String(CUSTOMERS)],
  })
  const [code] = (await once(driver, 'exit')) as [number | null]
  if (code !== 0 || !existsSync(resultFile))
    throw new DiedError(`the job ended with ${code}${bed.lastWords()}`)
  const { seconds: steps } = JSON.parse(readFileSync(resultFile, 'utf8')) as {
    seconds: Record<string, number>
  }
  const [joinS, cacheS, sortS] = Object.values(steps) as [number, number, number]
  return { wallS: joinS + cacheS + sortS, joinS, cacheS, sortS }
}

function judgeWall(rows: Rows): Verdict {
  const goal = 'wall against the same executors without relay (median of pairs)'
  const wall = (name: string): number[] =>
    rows.row(name)?.samples.map(({ wallS = Number.NaN }) => wallS) ?? []
  const ratio = pairedRatio(wall(ours.name), wall(theirs.name))
  if (ratio.pairs === 0) return { goal, is: 'unknown', says: 'no pairs' }
  const quartiles = `${ratio.lowerQuartile.toFixed(3)} to ${ratio.upperQuartile.toFixed(3)}`
  return {
    goal,
    is: 'report',
    says: `${ratio.median.toFixed(3)} ×, quartiles ${quartiles}, ${ratio.pairs} pairs`,
  }
}
