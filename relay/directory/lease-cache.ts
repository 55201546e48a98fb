/**
 * Leases that were read lately, so that a stream opened to an address just asked for costs no
 * round trip. Bounded in time and number; hints keep it fresh. A stale entry costs one more
 * redirect, never a wrong delivery: whoever is asked knows whether it is home. Used by redis.ts.
 */
import type { Lease } from './directory.ts'

export class LeaseCache {
  readonly #keepMs: number
  readonly #most: number
  readonly #entries = new Map<string, { readonly lease: Lease; readonly untilMs: number }>()

  /** `keepMs`: how long an entry is good for. `most`: entries at once; the oldest goes. */
  constructor(keepMs: number, most: number) {
    this.#keepMs = keepMs
    this.#most = most
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string, nowMs: number): Lease | undefined {
    const found = this.#entries.get(key)
    if (found === undefined) return undefined
    if (found.untilMs > nowMs && found.lease.expiresAtMs > nowMs) return found.lease
    this.#entries.delete(key)
    return undefined
  }

  /** An answer that is older than what is known (a hint overtook it) is left out. */
  put(key: string, lease: Lease, nowMs: number): void {
    const before = this.#entries.get(key)
    if (before !== undefined && before.lease.epoch > lease.epoch) return
    this.#entries.delete(key)
    this.#entries.set(key, { lease, untilMs: nowMs + this.#keepMs })
    if (this.#entries.size <= this.#most) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  drop(key: string): void {
    this.#entries.delete(key)
  }
  clear(): void {
    this.#entries.clear()
  }
}
