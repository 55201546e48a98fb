/** Looks once a second at what each function's processes use. One for all functions of a provider. */
import { type ProcessRow, processTable, proportionalBytes, treesOf } from './process-table.ts'

const PERIOD_MS = 1000
/** The exact figure of a JVM takes milliseconds, so it is asked for only when its tree has grown by so much. */
const GROWN = 1.05

export interface Sampled {
  readonly rootPid: number
  /** All its processes together may use so much, bytes. */
  readonly limitBytes: number
  /** Called once, with what was found. */
  readonly onOver: (usedBytes: number) => void
}

/** What was seen of one function so far. */
export interface Seen {
  /** Resident bytes when the exact figure was last worth asking for. */
  readonly residentBytes: number
  /** Largest exact figure. */
  readonly peakBytes: number
}

const unseen: Seen = { residentBytes: 0, peakBytes: 0 }

export class MemorySampler {
  readonly #seen = new Map<Sampled, Seen>()
  #timer: NodeJS.Timeout | undefined

  add(sampled: Sampled): void {
    this.#seen.set(sampled, unseen)
    this.#timer ??= setInterval(() => this.#look(), PERIOD_MS)
    this.#timer.unref()
  }

  /** Answers the most that it used at any look, bytes; 0 when it was gone before the first. */
  remove(sampled: Sampled): number {
    const { peakBytes } = this.#seen.get(sampled) ?? unseen
    this.#seen.delete(sampled)
    if (this.#seen.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    return peakBytes
  }

  #look(): void {
    const treeOf = treesOf(processTable())
    for (const [sampled, before] of this.#seen) {
      const { seen, usedBytes } = lookAt(
        treeOf(sampled.rootPid),
        before,
        sampled.limitBytes,
        proportionalBytes,
      )
      this.#seen.set(sampled, seen)
      if (before.peakBytes <= sampled.limitBytes && usedBytes > sampled.limitBytes) sampled.onOver(usedBytes)
    }
  }
}

/**
 * What `tree` uses. Resident bytes count shared pages again in each process, so above the limit they are
 * not believed; the exact, dearer figure is asked for there, and for the sake of the peak. Pure.
 */
export function lookAt(
  tree: readonly ProcessRow[],
  before: Seen,
  limitBytes: number,
  exact: (pid: number) => number | undefined,
): { readonly seen: Seen; readonly usedBytes: number } {
  const resident = tree.reduce((sum, row) => sum + row.residentBytes, 0)
  if (resident <= limitBytes && resident <= before.residentBytes * GROWN)
    return { seen: before, usedBytes: resident }
  const usedBytes = tree.reduce((sum, row) => sum + (exact(row.pid) ?? row.residentBytes), 0)
  return {
    seen: {
      residentBytes: Math.max(before.residentBytes, resident),
      peakBytes: Math.max(before.peakBytes, usedBytes),
    },
    usedBytes,
  }
}
