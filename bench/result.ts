/** What a bench leaves behind: one JSON file a bench and machine. Never merged across machines. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench, Column, Row, Verdict } from './bench.ts'
import type { Commit, Machine } from './measure/machine.ts'
import type { Versions } from './measure/versions.ts'
import { BenchUsageError } from './options.ts'

export interface BenchResult {
  readonly bench: string
  readonly question: string
  readonly setup: string
  readonly columns: readonly Column[]
  readonly plot: string
  readonly rows: readonly Row[]
  readonly verdicts: readonly Verdict[]
  readonly machine: Machine
  readonly versions: Versions
  readonly commit: Commit
  readonly at: string
  readonly runs: number
  readonly seconds: number
  /** What one run measures, in words. Absent in results of before. */
  readonly window?: string
  readonly noiseCores: number
  readonly isQuotable: boolean
  /** Why it may not be quoted. Absent in results of before. */
  readonly unquotable?: readonly string[]
}

/** What one run of a bench measures, in words. */
export function windowOf(bench: Pick<Bench, 'window'>, seconds: number): string {
  return bench.window?.(seconds) ?? `${seconds} s each`
}

/** `results/MACHINE/BENCH.json`; what is not quotable lies in `results/MACHINE/quick/`, which git ignores. */
export function resultFile(
  folder: string,
  result: Pick<BenchResult, 'bench' | 'machine' | 'isQuotable'>,
): string {
  const parts = [folder, result.machine.id, ...(result.isQuotable ? [] : ['quick']), `${result.bench}.json`]
  return join(...parts)
}

/** Undefined when there is not one figure in it: nothing shall take the place of something. */
export function saveResult(folder: string, result: BenchResult): string | undefined {
  if (!hasFigures(result)) return undefined
  const file = resultFile(folder, result)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(result, roundNumbers, 1)}\n`)
  renameSync(`${file}.new`, file)
  return file
}

export function hasFigures(result: Pick<BenchResult, 'rows'>): boolean {
  return result.rows.some((row) => Object.keys(row.figures).length > 0)
}

/** Six digits are more than any of this is worth. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value
}

/** Machines that have quotable results: folders with some. */
export function machinesOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && resultNames(join(folder, entry.name)).length > 0)
    .map((entry) => entry.name)
}

function resultNames(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
}

/**
 * Quotable results of one machine, and the ids of other machines that have some. Throws
 * BenchUsageError for a file that is none, or was made on another machine.
 */
export function loadResults(
  folder: string,
  machineId: string,
): { results: readonly BenchResult[]; others: readonly string[] } {
  const here = join(folder, machineId)
  const results = resultNames(here).map((name) => {
    const file = join(here, name)
    const result = parseResult(file)
    if (result.machine.id === machineId) return result
    throw new BenchUsageError(`${file} was made on ${result.machine.id}: move it there`)
  })
  return { results, others: machinesOf(folder).filter((name) => name !== machineId) }
}

function parseResult(file: string): BenchResult {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8')) as BenchResult
    if (typeof result.machine.id === 'string') return result
  } catch {
    // Said below.
  }
  throw new BenchUsageError(`${file} is no result of the bench: remove it`)
}
