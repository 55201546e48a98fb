/** What a bench leaves behind: one JSON file a bench and machine. Never merged across machines. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Column, Row, Verdict } from './bench.ts'
import type { Commit, Machine, Versions } from './measure/machine.ts'

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
  readonly noiseCores: number
  /** False for `--quick` and for fewer than 5 runs. */
  readonly isQuotable: boolean
}

/** `results/MACHINE/BENCH.json`; what is not quotable lies in `results/MACHINE/quick/`, which git ignores. */
export function resultFile(
  folder: string,
  result: Pick<BenchResult, 'bench' | 'machine' | 'isQuotable'>,
): string {
  const parts = [folder, result.machine.id, ...(result.isQuotable ? [] : ['quick']), `${result.bench}.json`]
  return join(...parts)
}

export function saveResult(folder: string, result: BenchResult): string {
  const file = resultFile(folder, result)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `${JSON.stringify(result, roundNumbers, 1)}\n`)
  return file
}

/** Six digits are more than any of this is worth. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value
}

/** Quotable results of one machine, and the ids of other machines that have some. */
export function loadResults(
  folder: string,
  machineId: string,
): { results: readonly BenchResult[]; others: readonly string[] } {
  if (!existsSync(folder)) return { results: [], others: [] }
  const machines = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
  const here = join(folder, machineId)
  const files = existsSync(here) ? readdirSync(here).filter((name) => name.endsWith('.json')) : []
  const results = files.map((name) => JSON.parse(readFileSync(join(here, name), 'utf8')) as BenchResult)
  for (const result of results) {
    if (result.machine.id !== machineId) {
      throw new Error(`${join(here, `${result.bench}.json`)} was made on ${result.machine.id}: move it there`)
    }
  }
  return { results, others: machines.filter((name) => name !== machineId) }
}
