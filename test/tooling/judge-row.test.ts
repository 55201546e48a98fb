import { describe, expect, it } from 'vitest'
import { judgeRow } from '../../scripts/judge-row.ts'
import { countTests, joinRuns, type TestFiles } from '../../scripts/run-vitest.ts'

type Status = TestFiles[number]['tests'][number]['status']
function file(name: string, tests: Record<string, Status>, isLoaded = true): TestFiles[number] {
  const all = Object.entries(tests).map(([fullName, status]) => ({ fullName, status }))
  return { name: `/root/${name}`, isLoaded, durationMs: 200, tests: all }
}
const absolute = (name: string) => `/root/${name}`
const row = (...tests: { file: string; name?: RegExp }[]) => ({ area: 'a', what: 'w', tests })

describe('judgeRow', () => {
  const results = [
    file('a.ts', { 'one passes': 'passed', 'two passes': 'passed' }),
    file('b.ts', { 'three fails': 'failed', 'four waits': 'skipped' }),
  ]

  it('passes a row whose every test ran and passed, with the time of its files', () => {
    expect(judgeRow(row({ file: 'a.ts' }), results, absolute)).toEqual({
      is: 'PASSED',
      durationMs: 200,
      says: '',
    })
  })

  it('judges by the named tests of a file only', () => {
    expect(
      judgeRow(row({ file: 'a.ts', name: /one/ }, { file: 'b.ts', name: /three/ }), results, absolute),
    ).toMatchObject({ is: 'FAILED', says: 'three fails' })
    expect(judgeRow(row({ file: 'b.ts', name: /four/ }), results, absolute)).toMatchObject({
      is: 'NOT RUN',
      says: 'skipped: four waits',
    })
  })

  it('says NOT RUN when one part has no test, though the other passed', () => {
    expect(judgeRow(row({ file: 'a.ts' }, { file: 'c.ts' }), results, absolute)).toMatchObject({
      is: 'NOT RUN',
      says: 'no such test in c.ts',
    })
    expect(judgeRow(row({ file: 'a.ts', name: /five/ }), results, absolute)).toMatchObject({ is: 'NOT RUN' })
    expect(judgeRow({ ...row(), because: 'needs a cloud' }, results, absolute)).toMatchObject({
      is: 'NOT RUN',
      says: 'needs a cloud',
    })
  })

  it('fails a row whose file could not be loaded', () => {
    expect(judgeRow(row({ file: 'd.ts' }), [file('d.ts', {}, false)], absolute)).toMatchObject({
      is: 'FAILED',
    })
  })
})

describe('countTests', () => {
  it('counts a file that could not be loaded, and an error outside of tests, as a failure each', () => {
    expect(
      countTests({ exitCode: 1, files: [file('a.ts', { one: 'passed' }), file('b.ts', {}, false)] }),
    ).toEqual({ passed: 1, failed: 1 })
    expect(countTests({ exitCode: 1, files: [file('a.ts', { one: 'passed' })] })).toEqual({
      passed: 1,
      failed: 1,
    })
    expect(countTests({ exitCode: 1, files: [] })).toEqual({ passed: 0, failed: 1 })
    expect(countTests({ exitCode: 0, files: [file('a.ts', { one: 'passed', two: 'skipped' })] })).toEqual({
      passed: 1,
      failed: 0,
    })
  })
})

describe('several runs', () => {
  it('are one that fails when any of them does', () => {
    const good = { exitCode: 0, files: [file('a.ts', { one: 'passed' })], failures: [] }
    const bad = { exitCode: 1, files: [], failures: ['b.ts: it'] }
    expect(countTests(joinRuns([good, good]))).toEqual({ passed: 2, failed: 0 })
    expect(countTests(joinRuns([good, bad, good]))).toEqual({ passed: 2, failed: 1 })
    expect(joinRuns([good, bad, good]).failures).toEqual(['b.ts: it'])
  })
})
