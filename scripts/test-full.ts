/**
 * `npm run test:full`: every row of test/rows.ts, and docs/test-report.md out of it. With
 * words behind `--` only rows that contain one of them; the others then say NOT RUN, and the
 * report goes to .cache/. Ends with 1 unless every row that ran has passed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, release, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { type Row, rows } from '../test/rows.ts'
import { judgeRow, type Outcome } from './judge-row.ts'
import { runVitest, type TestFiles } from './run-vitest.ts'

const words = process.argv.slice(2)
const chosen = rows.filter(
  (row) => words.length === 0 || words.some((word) => `${row.area} ${row.what}`.includes(word)),
)

spawnSync(process.execPath, ['scripts/prepare.ts'], { stdio: 'inherit' })
const startedAt = performance.now()
const startedOn = new Date()
const commit = git('rev-parse', 'HEAD')
const isChanged = git('status', '--porcelain', '--untracked-files=no') !== ''
const outcomes = new Map<Row, Outcome>()
for (const group of groupsOf(chosen)) {
  const files = [...new Set(group.rows.flatMap((row) => row.tests.map(({ file }) => file)))].filter(
    existsSync,
  )
  const results: TestFiles =
    files.length === 0 ? [] : runVitest(files, { ...process.env, ...group.environment }).files
  for (const row of group.rows) outcomes.set(row, judgeRow(row, results, resolve))
}
const reportFile = words.length === 0 ? 'docs/test-report.md' : '.cache/test-report.md'
mkdirSync(dirname(reportFile), { recursive: true })
writeFileSync(reportFile, report())
const failed = [...outcomes.values()].filter(({ is }) => is === 'FAILED').length
process.stdout.write(
  `${reportFile}: ${count('PASSED')} rows passed, ${failed} failed, ${count('NOT RUN')} not run\n`,
)
process.exit(failed === 0 ? 0 : 1)

/** Rows that ask for the same environment run in one vitest. */
function groupsOf(all: readonly Row[]): readonly { environment: Row['environment']; rows: readonly Row[] }[] {
  const byEnvironment = Map.groupBy(all, (row) => JSON.stringify(row.environment ?? {}))
  return [...byEnvironment.values()].map((group) => ({ environment: group[0]?.environment, rows: group }))
}

function outcomeOf(row: Row): Outcome {
  return outcomes.get(row) ?? { is: 'NOT RUN', durationMs: 0, says: 'not chosen in this run' }
}

function count(is: Outcome['is']): number {
  return rows.filter((row) => outcomeOf(row).is === is).length
}

function report(): string {
  const lines = [
    '# Test report',
    '',
    'Written by `npm run test:full`; not edited by hand.',
    '',
    `- Commit: ${commit}${isChanged ? ', with changes that are not committed' : ''}`,
    `- Run: ${startedOn.toISOString().slice(0, 16).replace('T', ' ')} UTC, ${seconds(performance.now() - startedAt)}`,
    `- Machine: ${availableParallelism()} cores, ${(totalmem() / 1024 ** 3).toFixed(1)} GiB, Linux ${release()}, Node ${process.versions.node}, ${javaVersion()}, as ${process.getuid?.() === 0 ? 'root' : 'a user'}`,
    `- Rows: ${count('PASSED')} passed, ${count('FAILED')} failed, ${count('NOT RUN')} not run`,
  ]
  for (const [area, group] of Map.groupBy(rows, (row) => row.area)) {
    lines.push('', `## ${area}`, '', '| what | outcome | time of its test files |', '| --- | --- | --- |')
    for (const row of group) {
      const { is, durationMs, says } = outcomeOf(row)
      lines.push(
        `| ${row.what} | ${is}${says === '' ? '' : `: ${says}`} | ${is === 'NOT RUN' ? '' : seconds(durationMs)} |`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim()
}

function javaVersion(): string {
  const { stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  return `Java ${/version "([^"]+)"/.exec(stderr ?? '')?.[1] ?? 'unknown'}`
}
