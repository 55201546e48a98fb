/** Looks once a second at what each function's processes use. One for all functions of a provider. */
import { type ProcessRow, processTable, proportionalBytes, treeOf } from './process-table.ts'

const PERIOD_MS = 1000

export interface Sampled {
  readonly rootPid: number
  /** All its processes together may use so much, bytes. */
  readonly limitBytes: number
  /** Called once, with what was found. */
  readonly onOver: (usedBytes: number) => void
}

export class MemorySampler {
  readonly #sampled = new Set<Sampled>()
  #timer: NodeJS.Timeout | undefined

  add(sampled: Sampled): void {
    this.#sampled.add(sampled)
    this.#timer ??= setInterval(() => this.#look(), PERIOD_MS)
    this.#timer.unref()
  }

  remove(sampled: Sampled): void {
    this.#sampled.delete(sampled)
    if (this.#sampled.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const table = processTable()
    for (const sampled of [...this.#sampled]) {
      const used = usedBytes(treeOf(sampled.rootPid, table), sampled.limitBytes, proportionalBytes)
      if (used <= sampled.limitBytes) continue
      this.remove(sampled)
      sampled.onOver(used)
    }
  }
}

/**
 * What `tree` uses. Resident bytes count shared pages again in each process, so they are only
 * believed while they are under the limit; above it the exact, dearer figure is asked for.
 */
export function usedBytes(
  tree: readonly ProcessRow[],
  limitBytes: number,
  exact: (pid: number) => number | undefined,
): number {
  const resident = tree.reduce((sum, row) => sum + row.residentBytes, 0)
  if (resident <= limitBytes) return resident
  return tree.reduce((sum, row) => sum + (exact(row.pid) ?? row.residentBytes), 0)
}
