/**
 * Streams that have ended, remembered for a while: a RESUME that was under way when its stream
 * ended must not bring it to life again. Used by endpoint.ts.
 */
export class Tombstones {
  readonly #forMs: number
  /** Oldest first: a Map keeps the order of insertion. */
  readonly #graves = new Map<string, { readonly sinceMs: number; readonly wasClean: boolean }>()

  constructor(forMs: number) {
    this.#forMs = forMs
  }

  get size(): number {
    return this.#graves.size
  }
  /** `wasClean`: both FINs were confirmed. */
  add(key: string, wasClean: boolean, nowMs: number): void {
    this.#graves.set(key, { sinceMs: nowMs, wasClean })
  }
  has(key: string): boolean {
    return this.#graves.has(key)
  }
  /** Did the stream end with both FINs confirmed. */
  wasClean(key: string): boolean {
    return this.#graves.get(key)?.wasClean ?? false
  }
  /** Forgets those whose time is over. */
  sweep(nowMs: number): void {
    for (const [key, { sinceMs }] of this.#graves) {
      if (nowMs - sinceMs < this.#forMs) return
      this.#graves.delete(key)
    }
  }
}
