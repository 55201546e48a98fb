/**
 * `npm run demo`: an ordinary PySpark job on four executors, each in namespaces of its own
 * whose only way out is one dial to a relay. Downloads Spark once into .cache/, runs
 * demo/job.py through `submit`, compares its answer with one computed without Spark, and
 * ends with what the run was. `-- --repeat 10` prints a table of ten.
 * Exit code: 0 only when every answer is right.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatDollars } from '../driver-agent/cost.ts'
import { ensureSpark } from '../driver-agent/spark-home.ts'
import { formatMiB, matrixLines, type Summary, summarySchema } from '../driver-agent/summary.ts'
import { compareAnswers, type DemoAnswer, demoAnswer, demoResult } from './demo-answer.ts'
import { CUSTOMERS, demoConfDir, demoProgram, demoSettings, EXECUTOR_MEMORY, ORDERS } from './demo-job.ts'
import { runChild } from './run-child.ts'
import { numberFrom, scriptCommand } from './script-command.ts'
import { spread } from './spread.ts'

const EXECUTORS = 4
const LEAST_SHUFFLE_BYTES = 200 * 1024 * 1024

const root = fileURLToPath(new URL('..', import.meta.url))

interface Run {
  readonly summary: Summary
  /** Undefined: right. */
  readonly problem: string | undefined
}

async function main(): Promise<number> {
  const { repeat, sparkVersion } = scriptCommand({
    name: 'demo',
    says: 'A PySpark job on four isolated executors that shuffle through a relay; its answer is checked.',
    example: '-- --repeat 10',
  })
    .option('--repeat <times>', 'runs it so often, and prints a table', numberFrom(1, 1_000), 1)
    .option('--spark-version <version>', 'another Spark than the one that suits this Python')
    .parse()
    .opts<{ readonly repeat: number; readonly sparkVersion?: string }>()
  const version = sparkVersion ?? sparkForPython()
  const sparkHome = process.env.SPARK_HOME ?? (await ensureSpark(version, { environment: process.env, tell }))
  console.log(`demo: computing the answer without Spark (${ORDERS.toLocaleString('en')} orders)`)
  const answer = demoAnswer(ORDERS, CUSTOMERS)
  const runs: Run[] = []
  for (let index = 0; index < repeat; index += 1) {
    const run = await runOnce(sparkHome, answer)
    if (run === undefined) return 1
    runs.push(run)
    if (repeat > 1) console.log(`demo: run ${index + 1} of ${repeat}: ${run.problem ?? 'right'}`)
  }
  if (repeat === 1) report(runs[0] as Run)
  else reportAll(runs)
  return runs.every((run) => run.problem === undefined) ? 0 : 1
}

function tell(sentence: string): void {
  console.log(`demo: ${sentence}`)
}

/** Spark 4.3 wants Python 3.11 or later for what runs in Python, Spark 3.5 takes 3.8 to 3.11. */
function sparkForPython(): string {
  const python = process.env.PYSPARK_PYTHON ?? 'python3'
  const asked = spawnSync(python, ['-c', 'import sys; print(sys.version_info[1])'], { encoding: 'utf8' })
  return Number(asked.stdout) >= 11 ? '4.3.0' : '3.5.7'
}

/** Undefined when submit itself failed; what it wrote has told why. */
async function runOnce(sparkHome: string, answer: DemoAnswer): Promise<Run | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'spark-lambda-relay-demo-'))
  try {
    const [resultFile, summaryFile] = [join(folder, 'result.json'), join(folder, 'summary.json')]
    const exitCode = await submit(sparkHome, summaryFile, resultFile)
    if (exitCode !== 0) {
      console.error(`demo: submit ended with ${exitCode}`)
      return undefined
    }
    const summary = summarySchema.parse(JSON.parse(await readFile(summaryFile, 'utf8')))
    const result = demoResult.parse(JSON.parse(await readFile(resultFile, 'utf8')))
    return { summary, problem: compareAnswers(result, answer) ?? shortfall(summary) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function submit(sparkHome: string, summaryFile: string, resultFile: string): Promise<number> {
  const conf = {
    'spark.executor.instances': EXECUTORS,
    'spark.executor.cores': 1,
    'spark.executor.memory': EXECUTOR_MEMORY,
    ...demoSettings,
  }
  const args = ['submit', '--log-level', 'warn', '--summary-json', summaryFile, '--']
  for (const [key, value] of Object.entries(conf)) args.push('--conf', `${key}=${value}`)
  args.push(...demoProgram(resultFile))
  const environment = { ...process.env, SPARK_HOME: sparkHome, SPARK_CONF_DIR: demoConfDir }
  return runChild(process.execPath, [join(root, 'bin', 'spark-lambda-relay.js'), ...args], environment)
}

/** The demo promises more than a right answer. */
function shortfall(summary: Summary): string | undefined {
  if (summary.functionsStarted !== EXECUTORS) {
    return `${summary.functionsStarted} functions were started, not ${EXECUTORS}`
  }
  if (summary.relayedBetweenExecutorsBytes < LEAST_SHUFFLE_BYTES) {
    return `only ${formatMiB(summary.relayedBetweenExecutorsBytes)} MiB went between executors`
  }
  return undefined
}

function report({ summary, problem }: Run): void {
  const memory = summary.executors[0]?.memoryMb ?? 0
  console.log(`
executors started   ${summary.functionsStarted}
wall time           ${(summary.wallMs / 1000).toFixed(1)} s
relayed             ${formatMiB(summary.relayedBytes)} MiB, ${formatMiB(summary.relayedBetweenExecutorsBytes)} MiB of it between executors
on Lambda           ${formatDollars(summary.cost.dollars)} at list price: ${summary.cost.gbSeconds.toFixed(1)} GB-s on ${summary.cost.architecture} and ${summary.cost.requests} requests, ${memory} MB of memory a function assumed (what the pods ask for); relays not counted

${summary.matrix === undefined ? '' : matrixLines(summary.matrix).join('\n')}

${problem === undefined ? 'The answer is right: the same as computed without Spark.' : `WRONG: ${problem}`}`)
}

function reportAll(runs: readonly Run[]): void {
  const columns = {
    'wall s': (run: Run) => run.summary.wallMs / 1000,
    'attached p50 s': (run: Run) => spread(after(run, 'attachedAfterMs')).median / 1000,
    'JVM p50 s': (run: Run) => spread(after(run, 'jvmAfterMs')).median / 1000,
    'registered p50 s': (run: Run) => spread(after(run, 'rpcAfterMs')).median / 1000,
    'registered max s': (run: Run) => spread(after(run, 'rpcAfterMs')).max / 1000,
    'between executors MiB': (run: Run) => run.summary.relayedBetweenExecutorsBytes / 1024 / 1024,
    'function s': (run: Run) => run.summary.functionMs / 1000,
    $: (run: Run) => run.summary.cost.dollars,
    'agent MiB': (run: Run) => run.summary.agentResidentBytes / 1024 / 1024,
    'relay MiB': (run: Run) => (run.summary.relayResidentBytes ?? 0) / 1024 / 1024,
    'shim MiB': (run: Run) =>
      Math.max(...run.summary.executors.map((one) => one.shimResidentBytes ?? 0)) / 1024 / 1024,
  }
  console.log(`\n${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`)
  console.log(['run', ...Object.keys(columns), 'answer'].join(' | '))
  runs.forEach((run, index) => {
    const cells = Object.values(columns).map((cell) => digits(cell(run)))
    console.log([index + 1, ...cells, run.problem ?? 'right'].join(' | '))
  })
  for (const measure of ['min', 'median', 'max'] as const) {
    const cells = Object.values(columns).map((cell) => digits(spread(runs.map(cell))[measure]))
    console.log([measure, ...cells, ''].join(' | '))
  }
}

/** ms from asking for each function to its links being attached, its JVM being started, or that one's first call to the driver. */
function after(run: Run, step: 'attachedAfterMs' | 'jvmAfterMs' | 'rpcAfterMs'): number[] {
  return run.summary.executors.flatMap((executor) => executor[step] ?? [])
}

function digits(value: number): string {
  return value === 0
    ? '0'
    : value >= 100
      ? value.toFixed(0)
      : value >= 1
        ? value.toFixed(1)
        : value.toPrecision(2)
}

process.exitCode = await main()
