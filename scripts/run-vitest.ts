/** Runs vitest in front of the user's eyes and reads what came out. Used by test.ts and test-full.ts. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { z } from 'zod'

const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.enum(['passed', 'failed', 'skipped', 'pending', 'todo', 'disabled']),
          duration: z.number().nullish(),
        }),
      ),
    }),
  ),
})
export type TestFiles = z.infer<typeof report>['testResults']

export interface VitestRun {
  readonly exitCode: number
  /** Empty when vitest could not even begin. */
  readonly files: TestFiles
}

/** `args` follow `vitest run`. */
export function runVitest(args: readonly string[], env: NodeJS.ProcessEnv = process.env): VitestRun {
  const file = `.cache/test-results-${process.pid}.json`
  mkdirSync('.cache', { recursive: true })
  const ran = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...args,
    ],
    { stdio: 'inherit', env },
  )
  const exitCode = ran.status ?? 1
  try {
    return { exitCode, files: report.parse(JSON.parse(readFileSync(file, 'utf8'))).testResults }
  } catch {
    return { exitCode: exitCode || 1, files: [] }
  } finally {
    rmSync(file, { force: true })
  }
}

/** A file that could not be loaded, and an error outside of any test, count as one failed each. */
export function countTests(run: VitestRun): { readonly passed: number; readonly failed: number } {
  const tests = run.files.flatMap((file) => file.assertionResults)
  const passed = tests.filter(({ status }) => status === 'passed').length
  const unloaded = run.files.filter(
    (file) => file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed'),
  )
  const failed = tests.filter(({ status }) => status === 'failed').length + unloaded.length
  return { passed, failed: failed === 0 && run.exitCode !== 0 ? 1 : failed }
}
