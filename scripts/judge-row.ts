/** From the results of test files to the outcome of one row of the report. Pure. */
import type { Row } from '../test/rows.ts'
import type { TestFiles } from './run-vitest.ts'

export interface Outcome {
  readonly is: 'PASSED' | 'FAILED' | 'NOT RUN'
  /** Of the files that its tests are in, which other rows may share. */
  readonly durationMs: number
  /** Why it is not simply passed. */
  readonly says: string
}

/**
 * Passed only when every part of the row ran and passed: a skipped test, a name that matches
 * nothing and a file that is not there make it NOT RUN. `absolute` makes a row's path that of
 * a result.
 */
export function judgeRow(row: Row, results: TestFiles, absolute: (file: string) => string): Outcome {
  if (row.tests.length === 0)
    return { is: 'NOT RUN', durationMs: 0, says: row.because ?? 'there is no test yet' }
  const parts = row.tests.map(({ file, name }) => {
    const result = results.find((each) => each.name === absolute(file))
    const tests = result?.tests.filter(({ fullName }) => name === undefined || name.test(fullName)) ?? []
    const isUnloaded = result?.isLoaded === false
    return { file, tests, isUnloaded }
  })
  const tests = parts.flatMap((part) => part.tests)
  const durationMs = results
    .filter((result) => row.tests.some(({ file }) => absolute(file) === result.name))
    .reduce((sum, result) => sum + result.durationMs, 0)
  const failed = tests.filter(({ status }) => status === 'failed')
  const unloaded = parts.filter(({ isUnloaded }) => isUnloaded)
  if (failed.length > 0)
    return { is: 'FAILED', durationMs, says: failed.map(({ fullName }) => fullName).join('; ') }
  if (unloaded.length > 0)
    return {
      is: 'FAILED',
      durationMs,
      says: `${unloaded.map(({ file }) => file).join(', ')} could not be loaded`,
    }
  const empty = parts.filter((part) => part.tests.length === 0)
  if (empty.length > 0)
    return { is: 'NOT RUN', durationMs, says: `no such test in ${empty.map(({ file }) => file).join(', ')}` }
  const skipped = tests.filter(({ status }) => status !== 'passed')
  if (skipped.length > 0)
    return {
      is: 'NOT RUN',
      durationMs,
      says: `skipped: ${skipped.map(({ fullName }) => fullName).join('; ')}`,
    }
  return { is: 'PASSED', durationMs, says: '' }
}
