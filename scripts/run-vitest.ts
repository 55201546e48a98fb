/** Runs vitest in front of the user's eyes and reads what came out. Used by test.ts and test-full.ts. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
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

export interface VitestRun {
  readonly exitCode: number
  /** Empty when vitest could not even begin. */
  readonly files: TestFiles
}

/** `args` follow `vitest run`. */
export function runVitest(args: readonly string[], env: NodeJS.ProcessEnv = process.env): VitestRun {
  const file = `.cache/test-results-${process.pid}.json`
  mkdirSync('.cache', { recursive: true })
  const reporters = ['--reporter=default', '--reporter=./scripts/vitest-results.ts']
  const ran = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args], {
    stdio: 'inherit',
    env: { ...env, SLR_TEST_RESULTS: file },
  })
  const exitCode = ran.status ?? 1
  try {
    return { exitCode, files: testFiles.parse(JSON.parse(readFileSync(file, 'utf8'))) }
  } catch {
    return { exitCode: exitCode || 1, files: [] }
  } finally {
    rmSync(file, { force: true })
  }
}

/** A file that could not be loaded, and an error outside of any test, count as one failed each. */
export function countTests(run: VitestRun): { readonly passed: number; readonly failed: number } {
  const tests = run.files.flatMap((file) => file.tests)
  const passed = tests.filter(({ status }) => status === 'passed').length
  const unloaded = run.files.filter(({ isLoaded }) => !isLoaded)
  const failed = tests.filter(({ status }) => status === 'failed').length + unloaded.length
  return { passed, failed: failed === 0 && run.exitCode !== 0 ? 1 : failed }
}
