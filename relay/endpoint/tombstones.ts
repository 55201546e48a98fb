/**
 * Streams that have ended, remembered for a while: a RESUME that was under way when its stream
 * ended must not bring it to life again. Used by endpoint.ts.
 */
export class Tombstones {
  readonly #forMs: number
  /** Key to time of burial, oldest first: a Map keeps the order of insertion. */
  readonly #graves = new Map<string, number>()

  constructor(forMs: number) {
    this.#forMs = forMs
  }

  get size(): number {
    return this.#graves.size
  }
  add(key: string, nowMs: number): void {
    this.#graves.set(key, nowMs)
  }
  has(key: string): boolean {
    return this.#graves.has(key)
  }
  /** Forgets those whose time is over. */
  sweep(nowMs: number): void {
    for (const [key, since] of this.#graves) {
      if (nowMs - since < this.#forMs) return
      this.#graves.delete(key)
    }
  }
}
