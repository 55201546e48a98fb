/**
 * How much of an executor's log the driver's stderr gets. The shim has a cap of its own; job code in
 * the executor can speak to the agent without it. Used by functions.ts.
 */

const WINDOW_MS = 10_000
/** Twice what a shim lets through. */
const MAX_LINES = 400
const MAX_CHARS = 2 * 1024 * 1024

export class LogCap {
  #sinceMs = Number.NEGATIVE_INFINITY
  #lines = 0
  #chars = 0
  /** Lines that were not let through since the last one that was told of. */
  #dropped = 0

  /** Whether this line may pass now. */
  passes(line: string, nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= WINDOW_MS) {
      this.#sinceMs = nowMs
      this.#lines = 0
      this.#chars = 0
    }
    this.#lines += 1
    this.#chars += line.length
    if (this.#lines <= MAX_LINES && this.#chars <= MAX_CHARS) return true
    this.#dropped += 1
    return false
  }

  /** How many were dropped and not yet told of, once lines pass again; else 0. */
  takeDropped(): number {
    if (this.#lines > MAX_LINES || this.#chars > MAX_CHARS) return 0
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}
