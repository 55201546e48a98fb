/**
 * What runs of `npm run test:full` have seen of each row, in docs/test-report.json: docs/test-report.md is
 * written from it, and rows that a later run leaves out keep theirs. Committed, because a checkout's .cache/
 * does not outlive it and hours of rows need not fit into one sitting. Used by test-full.ts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import type { Row } from '../test/rows.ts'
import type { Outcome } from './judge-row.ts'

const keptRow = z.object({
  row: z.string(),
  is: z.enum(['PASSED', 'FAILED', 'NOT RUN']),
  durationMs: z.number(),
  says: z.string(),
  /** Short hash, with a `+` where files had changes that were not committed. */
  commit: z.string(),
  /** UTC, to the minute. */
  on: z.string(),
  machine: z.string(),
})

/** An outcome with when, where and of which commit it was seen. */
export type Seen = Outcome & Omit<z.infer<typeof keptRow>, 'row' | keyof Outcome>

/** Names a row for good, as long as its words stay. */
export function keyOf(row: Pick<Row, 'area' | 'what'>): string {
  return `${row.area}: ${row.what}`
}

/** What was seen on `machine`, never on another, by keyOf(). Throws ZodError for a file that is none of ours. */
export function readKept(file: string, machine: string): Map<string, Seen> {
  if (!existsSync(file)) return new Map()
  const all = z.array(keptRow).parse(JSON.parse(readFileSync(file, 'utf8')))
  return new Map(all.filter((seen) => seen.machine === machine).map(({ row, ...seen }) => [row, seen]))
}

/** Rows that `rows` has no more are left out. */
export function writeKept(file: string, outcomes: ReadonlyMap<string, Seen>, rows: readonly Row[]): void {
  const kept = rows.flatMap((row) => {
    const seen = outcomes.get(keyOf(row))
    return seen === undefined ? [] : [{ row: keyOf(row), ...seen }]
  })
  writeFileSync(file, `[\n${kept.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]\n`)
}

/** Says whether the repository in `folder` has the commit of a short hash, with or without a `+`. */
export function commitsIn(folder = '.'): (commit: string) => boolean {
  const known = new Map<string, boolean>()
  const ask = (hash: string): boolean =>
    spawnSync('git', ['-C', folder, 'cat-file', '-e', `${hash}^{commit}`], { stdio: 'ignore' }).status === 0
  return (commit) => {
    const hash = commit.replace(/\+$/, '')
    const isHere = known.get(hash) ?? ask(hash)
    known.set(hash, isHere)
    return isHere
  }
}

/** What the report may say of it: of a commit that nobody can look up, nothing was shown. It stays kept as it is. */
export function asShown(seen: Seen, isHere: (commit: string) => boolean): Seen {
  if (seen.is === 'NOT RUN' || isHere(seen.commit)) return seen
  return { ...seen, is: 'NOT RUN', says: `seen at a commit that is not here: ${seen.commit}` }
}
