/**
 * Streams that have ended, remembered for a while: a RESUME that was under way when its stream
 * ended must not bring it to life again. Used by endpoint.ts.
 */

/**
 * Of one peer; then its oldest is forgotten, and a RESUME of that would be answered `lost`. A peer that
 * opens and is refused as fast as it can made 860,000 in 20 s, half a gigabyte; Spark opens some dozens a second.
 */
const MAX_OF_ONE = 65_536

interface Grave {
  readonly sinceMs: number
  readonly wasClean: boolean
}

export class Tombstones {
  readonly #forMs: number
  /** By peer; of each the oldest first: a Map keeps the order of insertion. */
  readonly #graves = new Map<string, Map<string, Grave>>()

  constructor(forMs: number) {
    this.#forMs = forMs
  }

  get size(): number {
    let size = 0
    for (const own of this.#graves.values()) size += own.size
    return size
  }
  /** `wasClean`: both FINs were confirmed. */
  add(peer: string, key: string, wasClean: boolean, nowMs: number): void {
    let own = this.#graves.get(peer)
    if (own === undefined) {
      own = new Map()
      this.#graves.set(peer, own)
    }
    own.set(key, { sinceMs: nowMs, wasClean })
    if (own.size > MAX_OF_ONE) {
      const [oldest] = own.keys()
      own.delete(oldest as string)
    }
  }
  has(peer: string, key: string): boolean {
    return this.#graves.get(peer)?.has(key) ?? false
  }
  /** Did the stream end with both FINs confirmed. */
  wasClean(peer: string, key: string): boolean {
    return this.#graves.get(peer)?.get(key)?.wasClean ?? false
  }
  /** Forgets those whose time is over. */
  sweep(nowMs: number): void {
    for (const [peer, own] of this.#graves) {
      for (const [key, { sinceMs }] of own) {
        if (nowMs - sinceMs < this.#forMs) break
        own.delete(key)
      }
      if (own.size === 0) this.#graves.delete(peer)
    }
  }
}
