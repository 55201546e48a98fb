/**
 * `npm run test:full`: every row of test/rows.ts, and docs/test-report.md out of it. With
 * words behind `--` only rows that contain one of them; the others then say NOT RUN, and the
 * report goes to .cache/. With `--keep` before the words, rows that are not chosen keep what an
 * earlier run on this machine saw of them, each with its own commit and day, and the report is
 * docs/test-report.md; what was seen at a commit that this repository does not have is NOT RUN
 * there. Ends with 1 unless every row that ran has passed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, hostname, release, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { type Row, rows } from '../test/rows.ts'
import { judgeRow, type Outcome } from './judge-row.ts'
import { asShown, commitsIn, keyOf, readKept, type Seen, writeKept } from './kept-rows.ts'
import { runVitest } from './run-vitest.ts'
import { scriptCommand } from './script-command.ts'

const KEPT_FILE = 'docs/test-report.json'

const command = scriptCommand({
  name: 'test:full',
  says: 'Every row that the project promises, and docs/test-report.md out of it.',
  example: "-- --keep Deaths 'a notebook'",
})
  .argument('[words...]', 'only rows that contain one of them')
  .option('--keep', 'rows that are not chosen keep what an earlier run on this machine saw of them', false)
  .parse()
const { keep: isKeeping } = command.opts<{ readonly keep: boolean }>()
const words = command.args
const chosen = rows.filter(
  (row) => words.length === 0 || words.some((word) => `${row.area} ${row.what}`.includes(word)),
)
if (chosen.length === 0)
  command.error(`error: no row has ${words.map((word) => `'${word}'`).join(' or ')}.`, { exitCode: 2 })

if (spawnSync(process.execPath, ['scripts/prepare.ts'], { stdio: 'inherit' }).status !== 0) process.exit(1)
const startedAt = performance.now()
const startedOn = new Date()
const commit = git('rev-parse', 'HEAD')
const isChanged =
  git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!docs/test-report.*') !== ''
const seenNow = {
  commit: `${commit.slice(0, 10)}${isChanged ? '+' : ''}`,
  on: minuteOf(startedOn),
  machine: hostname(),
}
const isReported = isKeeping || words.length === 0
const isHere = commitsIn()
const outcomes = isReported ? readKept(KEPT_FILE, seenNow.machine) : new Map<string, Seen>()
const ran: Seen[] = []
/** Errors outside of any row's tests, and a vitest that could not begin, are in no row. */
const otherFailures: string[] = []
for (const group of groupsOf(chosen)) {
  const files = [...new Set(group.rows.flatMap((row) => row.tests.map(({ file }) => file)))].filter(
    existsSync,
  )
  const run =
    files.length === 0 ? undefined : await runVitest(files, { env: { ...process.env, ...group.environment } })
  const seenRows = group.rows.map((row) => ({
    row,
    seen: { ...withSeed(row, judgeRow(row, run?.files ?? [], resolve)), ...seenNow },
  }))
  for (const { row, seen } of seenRows) {
    outcomes.set(keyOf(row), seen)
    ran.push(seen)
  }
  if (run !== undefined && run.exitCode !== 0 && !seenRows.some(({ seen }) => seen.is === 'FAILED'))
    otherFailures.push(...(run.failures.length > 0 ? run.failures : [`vitest ended with ${run.exitCode}`]))
  // Not only at the end: a run of hours may be stopped.
  if (isReported) writeKept(KEPT_FILE, outcomes, rows)
}
const reportFile = isReported ? 'docs/test-report.md' : '.cache/test-report.md'
mkdirSync(dirname(reportFile), { recursive: true })
writeFileSync(reportFile, report())
const failed = ran.filter(({ is }) => is === 'FAILED').length
process.stdout.write(
  `${reportFile}: ${count('PASSED')} rows passed, ${failed} failed, ${count('NOT RUN')} not run\n`,
)
for (const failure of otherFailures) process.stdout.write(`FAILED, in no row: ${failure}\n`)
process.exit(failed === 0 && otherFailures.length === 0 ? 0 : 1)

/** Rows that ask for the same environment run in one vitest. */
function groupsOf(all: readonly Row[]): readonly { environment: Row['environment']; rows: readonly Row[] }[] {
  const byEnvironment = Map.groupBy(all, (row) => JSON.stringify(row.environment ?? {}))
  return [...byEnvironment.values()].map((group) => ({ environment: group[0]?.environment, rows: group }))
}

/** Schedules that were drawn can be drawn again. */
function withSeed(row: Row, outcome: Outcome): Outcome {
  const seed = row.environment?.SLR_SIM_SEED
  return seed === undefined || outcome.is !== 'PASSED'
    ? outcome
    : { ...outcome, says: `SLR_SIM_SEED=${seed}` }
}

function outcomeOf(row: Row): Seen {
  const seen = outcomes.get(keyOf(row))
  if (seen !== undefined) return asShown(seen, isHere)
  return { is: 'NOT RUN', durationMs: 0, says: 'not chosen in this run', commit: '', on: '', machine: '' }
}

function minuteOf(date: Date): string {
  return date.toISOString().slice(0, 16).replace('T', ' ')
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
    `- Commit of the last run: ${commit}${isChanged ? ', with changes that are not committed' : ''}; a \`+\` behind a row’s commit says the same`,
    `- Run: ${minuteOf(startedOn)} UTC, ${seconds(performance.now() - startedAt)}`,
    `- Machine: ${availableParallelism()} cores, ${(totalmem() / 1024 ** 3).toFixed(1)} GiB, Linux ${release()}, Node ${process.versions.node}, ${javaVersion()}, as ${process.getuid?.() === 0 ? 'root' : 'a user'}`,
    `- Rows: ${count('PASSED')} passed, ${count('FAILED')} failed, ${count('NOT RUN')} not run`,
  ]
  for (const [area, group] of Map.groupBy(rows, (row) => row.area)) {
    lines.push(
      '',
      `## ${area}`,
      '',
      '| what | outcome | time of its test files | commit, UTC |',
      '| --- | --- | --- | --- |',
    )
    for (const row of group) {
      const { is, durationMs, says, commit: seenAt, on } = outcomeOf(row)
      lines.push(
        `| ${row.what} | ${is}${says === '' ? '' : `: ${says}`} | ${is === 'NOT RUN' ? '' : seconds(durationMs)} | ${is === 'NOT RUN' ? '' : `${seenAt}, ${on}`} |`,
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
