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
import { demoResult } from '../../scripts/demo-answer.ts'
import { demoConfDir, demoProgram, demoSettings, EXECUTOR_MEMORY } from '../../scripts/demo-job.ts'
import type { Bench, Rows, Verdict } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { relayed, shared, startDriver } from '../contestants/spark.ts'
import { NOISE, noiseOf, type Sample, sampleOf } from '../measure/sample.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'
import { seconds } from './columns.ts'
import { reportPairs } from './paired-runs.ts'

const [ours, theirs] = [relayed(true), shared(true)]

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
  needs: [],
  window: () => 'a whole job each',
  measure: (contestant, bed) => runDemo(contestant, bed),
  judge: (rows) => [judgeWall(rows)],
}

async function runDemo(contestant: Contestant, bed: Testbed): Promise<Sample> {
  const start = bed.read()
  const resultFile = join(bed.dir, 'result.json')
  const driver = await startDriver(contestant, bed, {
    memory: EXECUTOR_MEMORY,
    confDir: demoConfDir,
    settings: demoSettings,
    program: demoProgram(resultFile),
  })
  const [code] = (await once(driver, 'exit')) as [number | null]
  const noise = noiseOf(sampleOf({}, start, bed.read()))
  if (code !== 0 || !existsSync(resultFile))
    throw new DiedError(`the job ended with ${code}${bed.lastWords()}`)
  const { seconds: steps } = demoResult.parse(JSON.parse(readFileSync(resultFile, 'utf8')))
  const [joinS, cacheS, sortS] = Object.values(steps) as [number, number, number]
  return { wallS: joinS + cacheS + sortS, joinS, cacheS, sortS, [NOISE]: noise }
}

function judgeWall(rows: Rows): Verdict {
  return reportPairs(rows, {
    says: 'wall against the same executors without relay (median of pairs)',
    above: { row: ours.name, key: 'wallS' },
    below: { row: theirs.name, key: 'wallS' },
  })
}
