/**
 * `npm run test:full`: every row of test/rows.ts, and docs/test-report.md out of it. With
 * words behind `--` only rows that contain one of them; the others then say NOT RUN, and the
 * report goes to .cache/. With `--keep` before the words, rows that are not chosen keep what an
 * earlier run on this machine saw of them, each with its own commit and day, and the report is
 * docs/test-report.md: hours of rows need not fit into one sitting. Ends with 1 unless every
 * row that ran has passed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, hostname, release, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { type Row, rows } from '../test/rows.ts'
import { judgeRow, type Outcome } from './judge-row.ts'
import { runVitest, type TestFiles } from './run-vitest.ts'
import { scriptCommand } from './script-command.ts'

const KEPT_FILE = '.cache/test-full.json'

/** An outcome with when, where and of which commit it was seen. */
interface Seen extends Outcome {
  readonly commit: string
  readonly on: string
  readonly machine: string
}

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

spawnSync(process.execPath, ['scripts/prepare.ts'], { stdio: 'inherit' })
const startedAt = performance.now()
const startedOn = new Date()
const commit = git('rev-parse', 'HEAD')
const isChanged = git('status', '--porcelain', '--untracked-files=no') !== ''
const seenNow = {
  commit: `${commit.slice(0, 10)}${isChanged ? '+' : ''}`,
  on: minuteOf(startedOn),
  machine: hostname(),
}
const outcomes = new Map<string, Seen>(isKeeping || words.length === 0 ? readKept() : [])
const ran: Seen[] = []
for (const group of groupsOf(chosen)) {
  const files = [...new Set(group.rows.flatMap((row) => row.tests.map(({ file }) => file)))].filter(
    existsSync,
  )
  const results: TestFiles =
    files.length === 0
      ? []
      : (await runVitest(files, { env: { ...process.env, ...group.environment } })).files
  for (const row of group.rows) {
    const seen = { ...judgeRow(row, results, resolve), ...seenNow }
    outcomes.set(keyOf(row), seen)
    ran.push(seen)
  }
}
const reportFile = words.length === 0 || isKeeping ? 'docs/test-report.md' : '.cache/test-report.md'
if (words.length === 0 || isKeeping) {
  mkdirSync(dirname(KEPT_FILE), { recursive: true })
  writeFileSync(KEPT_FILE, JSON.stringify([...outcomes]))
}
mkdirSync(dirname(reportFile), { recursive: true })
writeFileSync(reportFile, report())
const failed = ran.filter(({ is }) => is === 'FAILED').length
process.stdout.write(
  `${reportFile}: ${count('PASSED')} rows passed, ${failed} failed, ${count('NOT RUN')} not run\n`,
)
process.exit(failed === 0 ? 0 : 1)

/** Rows that ask for the same environment run in one vitest. */
function groupsOf(all: readonly Row[]): readonly { environment: Row['environment']; rows: readonly Row[] }[] {
  const byEnvironment = Map.groupBy(all, (row) => JSON.stringify(row.environment ?? {}))
  return [...byEnvironment.values()].map((group) => ({ environment: group[0]?.environment, rows: group }))
}

function keyOf(row: Row): string {
  return `${row.area}: ${row.what}`
}

/** What earlier runs on this machine saw; never that of another. */
function readKept(): [string, Seen][] {
  if (!existsSync(KEPT_FILE)) return []
  const kept = JSON.parse(readFileSync(KEPT_FILE, 'utf8')) as [string, Seen][]
  return kept.filter(([, seen]) => seen.machine === seenNow.machine)
}

function outcomeOf(row: Row): Seen {
  return (
    outcomes.get(keyOf(row)) ?? {
      is: 'NOT RUN',
      durationMs: 0,
      says: 'not chosen in this run',
      commit: '',
      on: '',
      machine: '',
    }
  )
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
