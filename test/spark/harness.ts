/**
 * Starts `submit` with a real Spark and gathers what is left to look at: the job's own
 * result file, the summary, the event log, and every process below it. For test/spark/ only.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runDirBase } from '../../driver-agent/run-dir.ts'
import { type Summary, summarySchema } from '../../driver-agent/summary.ts'
import { type EventLog, readEventLog } from './event-log.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const jobs = join(root, 'test', 'spark', 'jobs')
/** One of each line that is supported. */
export const sparkVersions = ['3.5.7', '4.3.0'] as const
export type SparkVersion = (typeof sparkVersions)[number]

/** SPARK_HOME of a version that `npm run setup` has downloaded. */
export function sparkHomeOf(version: SparkVersion): string {
  const cache = process.env.SLR_CACHE || join(root, '.cache')
  const home = join(cache, `spark-${version}`, 'pyspark')
  if (!existsSync(join(home, 'bin', 'spark-submit'))) {
    throw new Error(`Spark ${version} is not in ${cache}: npm run setup`)
  }
  return home
}

export interface SubmitSpec {
  readonly version: SparkVersion
  /** Options of `submit`. */
  readonly options?: readonly string[]
  readonly conf?: Readonly<Record<string, string | number | boolean>>
  /** More arguments for spark-submit, before the program. */
  readonly args?: readonly string[]
  /** The program and its arguments; `{result}` and `{folder}` stand for the job's files. */
  readonly program: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Words before our own command, which must become it by exec: `setpriv …`, `unshare …`. */
  readonly under?: readonly string[]
  /** A process group of its own, as a shell gives each job: `kill(signal, 'group')` is what Ctrl-C does. */
  readonly ownGroup?: boolean
  /** On a terminal of its own, at which `type()` types; it is a child of `pid`. */
  readonly terminal?: boolean
  /** User id that the job's folder belongs to. Default: ours. */
  readonly owner?: number
}

export interface Submitted {
  readonly pid: number
  /** The job's own folder; removed by `remove()`. */
  readonly folder: string
  /** Where its agent has its private folder. */
  readonly runBase: string
  /** stdout and stderr so far. */
  readonly output: string
  /** Exit code, 128 + n for a signal. */
  readonly ended: Promise<number>
  /** Milliseconds of performance.now() at the end. */
  readonly endedAtMs: Promise<number>
  /** What the job has written to `{result}`. */
  result(): unknown
  summary(): Summary
  events(): EventLog
  /** Settles when the output has `text` (or matches); rejects when submit ends first. */
  saw(text: string | RegExp, withinMs?: number): Promise<void>
  /** To submit alone, or to its process group, as Ctrl-C. */
  kill(signal: NodeJS.Signals, to?: 'group'): void
  /** Keys on its terminal: `\x03` is Ctrl-C. */
  type(keys: string): void
  /** Ends it if need be, and removes its folder. */
  remove(): Promise<void>
}

/** Python: a command on a terminal of its own, whose keys are our stdin; ends as the command does. */
const onTerminal = `import os, pty, sys
code = os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:]))
sys.exit(code if code >= 0 else 128 - code)`

/** What is common to all jobs here: small executors, an event log as plain text. */
const standardConf = {
  'spark.executor.memory': '600m',
  'spark.executor.cores': 1,
  'spark.executor.instances': 2,
  'spark.driver.memory': '700m',
  'spark.sql.shuffle.partitions': 8,
  'spark.locality.wait': 0,
  'spark.ui.showConsoleProgress': false,
  'spark.eventLog.enabled': true,
  'spark.eventLog.compress': false,
  'spark.eventLog.rolling.enabled': false,
  'spark.eventLog.logBlockUpdates.enabled': true,
}

export async function startSubmit(spec: SubmitSpec): Promise<Submitted> {
  const folder = await mkdtemp(join(tmpdir(), 'slr-spark-test-'))
  const eventDir = join(folder, 'events')
  const runtimeDir = join(folder, 'run')
  mkdirSync(eventDir)
  mkdirSync(runtimeDir)
  if (spec.owner !== undefined) {
    for (const path of [folder, eventDir, runtimeDir]) chownSync(path, spec.owner, spec.owner)
  }
  const resultFile = join(folder, 'result.json')
  const summaryFile = join(folder, 'summary.json')
  const conf = { ...standardConf, 'spark.eventLog.dir': `file:${eventDir}`, ...spec.conf }
  const filled = spec.program.map((word) => word.replace('{result}', resultFile).replace('{folder}', folder))
  const [program = '', ...args] = [
    ...(spec.terminal ? ['python3', '-c', onTerminal] : []),
    ...(spec.under ?? []),
    process.execPath,
    join(root, 'bin', 'spark-lambda-relay.js'),
    'submit',
    '--summary-json',
    summaryFile,
    ...(spec.options ?? []),
    '--',
    ...Object.entries(conf).flatMap(([key, value]) => ['--conf', `${key}=${value}`]),
    ...(spec.args ?? []),
    ...filled,
  ]
  const own = { SPARK_HOME: sparkHomeOf(spec.version), XDG_RUNTIME_DIR: runtimeDir, ...spec.env }
  const child = spawn(program, args, {
    cwd: folder,
    detached: spec.ownGroup ?? false,
    stdio: [spec.terminal ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...own },
  })
  return new RunningSubmit(child, { folder, runBase: runDirBase(own), eventDir, resultFile, summaryFile })
}

interface Files {
  readonly folder: string
  readonly runBase: string
  readonly eventDir: string
  readonly resultFile: string
  readonly summaryFile: string
}

class RunningSubmit implements Submitted {
  readonly folder: string
  readonly runBase: string
  readonly ended: Promise<number>
  readonly endedAtMs: Promise<number>
  readonly #child: ChildProcess
  readonly #files: Files
  readonly #watchers = new Set<() => void>()
  #output = ''

  constructor(child: ChildProcess, files: Files) {
    this.#child = child
    this.#files = files
    this.folder = files.folder
    this.runBase = files.runBase
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output += bytes.toString('utf8')
        for (const watcher of this.#watchers) watcher()
      })
    }
    // 'close', not 'exit': by then all its output is here.
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)))
    })
    this.endedAtMs = new Promise((resolve) => {
      child.once('exit', () => resolve(performance.now()))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  result(): unknown {
    return JSON.parse(readFileSync(this.#files.resultFile, 'utf8'))
  }

  summary(): Summary {
    return summarySchema.parse(JSON.parse(readFileSync(this.#files.summaryFile, 'utf8')))
  }

  events(): EventLog {
    const name = readdirSync(this.#files.eventDir).find((each) => !each.startsWith('.'))
    if (name === undefined) throw new Error('the job has written no event log')
    return readEventLog(join(this.#files.eventDir, name))
  }

  saw(text: string | RegExp, withinMs = 240_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const has = (): boolean =>
        typeof text === 'string' ? this.#output.includes(text) : text.test(this.#output)
      const done = (error?: Error): void => {
        clearTimeout(timer)
        this.#watchers.delete(look)
        if (error === undefined) resolve()
        else reject(error)
      }
      const look = (): void => {
        if (has()) done()
      }
      const timer = setTimeout(
        () => done(new Error(`not seen within ${withinMs} ms: ${text}\n${this.tail()}`)),
        withinMs,
      )
      this.#watchers.add(look)
      look()
      void this.ended.then((code) => {
        if (!has()) done(new Error(`submit ended with ${code} before it wrote ${text}\n${this.tail()}`))
      })
    })
  }

  /** The end of the output, for messages. */
  tail(): string {
    return this.#output.slice(-4_000)
  }

  kill(signal: NodeJS.Signals, to?: 'group'): void {
    if (to === 'group') process.kill(-this.pid, signal)
    else this.#child.kill(signal)
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  async remove(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM')
      const hard = setTimeout(() => this.#child.kill('SIGKILL'), 20_000)
      await this.ended
      clearTimeout(hard)
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Runs a job to its end. A code other than `expected` throws with the end of the output. */
export async function runSubmit(spec: SubmitSpec, expected = 0): Promise<Submitted> {
  const submitted = await startSubmit(spec)
  const code = await submitted.ended
  if (code !== expected) {
    const tail = submitted.output.slice(-6_000)
    await submitted.remove()
    throw new Error(`submit ended with ${code}, not ${expected}:\n${tail}`)
  }
  return submitted
}
