/** Runs vitest and reads what came out. Used by test.ts and test-full.ts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import * as z from 'zod'

const testFiles = z.array(
  z.object({
    /** Absolute path. */
    name: z.string(),
    /** False: it threw before its tests could be told. */
    isLoaded: z.boolean(),
    /** Of its tests and their hooks. */
    durationMs: z.number(),
    tests: z.array(
      z.object({
        fullName: z.string(),
        status: z.enum(['passed', 'failed', 'skipped', 'pending']),
      }),
    ),
  }),
)
export type TestFiles = z.infer<typeof testFiles>

/** What the reporter writes. */
const testResults = z.object({
  files: testFiles,
  /** Each failed test or file, and each error outside of any, with its stack. */
  failures: z.array(z.string()),
})
export type TestResults = z.infer<typeof testResults>

/** Nothing in it when vitest could not even begin. */
export interface VitestRun extends TestResults {
  readonly exitCode: number
}

export interface VitestOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Behind everything else on the machine (nice 19), its output kept until it has ended. */
  readonly isBackground?: boolean
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
let runs = 0

/** Unlike the signal itself it lets listeners of `exit` run. */
function exitBy(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal])
}

/** `args` follow `vitest run`. */
export async function runVitest(args: readonly string[], options: VitestOptions = {}): Promise<VitestRun> {
  const { env = process.env, isBackground = false } = options
  runs += 1
  const base = `.cache/test-${process.pid}-${runs}`
  const [results, output] = [`${base}.json`, `${base}.log`]
  mkdirSync('.cache', { recursive: true })
  const log = isBackground ? openSync(output, 'w') : undefined
  const reporters = ['--reporter=default', '--reporter=./scripts/vitest-results.ts']
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args], {
    stdio: log === undefined ? 'inherit' : ['ignore', log, log],
    env: { ...env, SLR_TEST_RESULTS: results },
    // A group of its own: its workers do not end with it, and a busy one does not even notice.
    detached: true,
  })
  const group = child.pid
  if (group === undefined) throw new Error('vitest cannot be started: npm ci')
  // Its workers come later, and are as nice.
  if (isBackground) setPriority(group, 19)
  const endAll = (): void => {
    process.kill(-group, 'SIGKILL')
  }
  process.once('exit', endAll)
  for (const signal of signals) process.once(signal, exitBy)
  const [status] = (await once(child, 'exit')) as [number | null]
  process.off('exit', endAll)
  for (const signal of signals) process.off(signal, exitBy)
  if (log !== undefined) {
    closeSync(log)
    process.stdout.write(readFileSync(output))
  }
  const exitCode = status ?? 1
  try {
    return { exitCode, ...testResults.parse(JSON.parse(readFileSync(results, 'utf8'))) }
  } catch {
    return { exitCode: exitCode || 1, files: [], failures: [] }
  } finally {
    rmSync(results, { force: true })
    rmSync(output, { force: true })
  }
}

/** Several runs as one. */
export function joinRuns(all: readonly VitestRun[]): VitestRun {
  return {
    exitCode: all.find(({ exitCode }) => exitCode !== 0)?.exitCode ?? 0,
    files: all.flatMap(({ files }) => files),
    failures: all.flatMap(({ failures }) => failures),
  }
}

/** A file that could not be loaded, and an error outside of any test, count as one failed each. */
export function countTests(run: Pick<VitestRun, 'exitCode' | 'files'>): {
  readonly passed: number
  readonly failed: number
} {
  const tests = run.files.flatMap((file) => file.tests)
  const passed = tests.filter(({ status }) => status === 'passed').length
  const unloaded = run.files.filter(({ isLoaded }) => !isLoaded)
  const failed = tests.filter(({ status }) => status === 'failed').length + unloaded.length
  return { passed, failed: failed === 0 && run.exitCode !== 0 ? 1 : failed }
}
