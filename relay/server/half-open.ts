/**
 * Connections that have not said who they are: each has a deadline, and their number is capped,
 * in all and per remote. When a cap is reached the oldest goes, not the newest: an honest
 * endpoint needs milliseconds, one that only holds a socket open has been here longer. Used by
 * front.ts.
 */
import type { Clock, Timer } from '../time/clock.ts'
import type { RelayMetrics } from './metrics.ts'

export interface HalfOpenLimits {
  /** From accept to a good token, ms. */
  readonly handshakeMs: number
  /** Unauthenticated connections at once. */
  readonly maxUnauthenticated: number
  /** Of those, from one remote address. */
  readonly maxUnauthenticatedPerRemote: number
}

export type HalfOpenEnd = 'slow' | 'too-many' | 'too-many-remote'

/** One such connection. Its owner calls `settle` when it is authenticated or over. */
export interface HalfOpen {
  /** The node has it now, and closes it by itself at its own deadline, telling why. */
  handOver(): void
  /** Idempotent. Needs no `this`: a listener can be taken off again. */
  readonly settle: () => void
}

/** A node closes late handshakes itself and says so in a frame; this much later nobody waits for that. */
const NODE_MARGIN_MS = 250

interface Entry {
  readonly remote: string
  readonly sinceMs: number
  readonly close: (why: HalfOpenEnd) => void
  isHandedOver: boolean
}

export class HalfOpenTable {
  readonly #limits: HalfOpenLimits
  readonly #clock: Clock
  readonly #metrics: RelayMetrics
  /** In order of their coming. */
  readonly #entries = new Set<Entry>()
  readonly #byRemote = new Map<string, Set<Entry>>()
  #timer: Timer | undefined

  constructor(limits: HalfOpenLimits, clock: Clock, metrics: RelayMetrics) {
    this.#limits = limits
    this.#clock = clock
    this.#metrics = metrics
  }

  /** `close` is called at most once, and not after settle(): it must end the connection. */
  add(remote: string, close: (why: HalfOpenEnd) => void): HalfOpen {
    const mates = this.#byRemote.get(remote) ?? new Set<Entry>()
    this.#byRemote.set(remote, mates)
    if (mates.size >= this.#limits.maxUnauthenticatedPerRemote) this.#close(first(mates), 'too-many-remote')
    if (this.#entries.size >= this.#limits.maxUnauthenticated) this.#close(first(this.#entries), 'too-many')
    const entry: Entry = { remote, sinceMs: this.#clock.now(), close, isHandedOver: false }
    mates.add(entry)
    this.#byRemote.set(remote, mates) // the eviction may have taken its last one
    this.#entries.add(entry)
    this.#metrics.unauthenticated = this.#entries.size
    this.#timer ??= this.#clock.after(this.#limits.handshakeMs, this.#expire)
    return {
      handOver: () => {
        entry.isHandedOver = true
      },
      settle: () => this.#forget(entry),
    }
  }

  get size(): number {
    return this.#entries.size
  }

  /** Closes all. */
  clear(): void {
    for (const entry of this.#entries) this.#close(entry, 'slow')
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #forget(entry: Entry): void {
    if (!this.#entries.delete(entry)) return
    this.#metrics.unauthenticated = this.#entries.size
    const mates = this.#byRemote.get(entry.remote)
    mates?.delete(entry)
    if (mates?.size === 0) this.#byRemote.delete(entry.remote)
  }

  #close(entry: Entry, why: HalfOpenEnd): void {
    this.#forget(entry)
    entry.close(why)
  }

  readonly #expire = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    for (const entry of this.#entries) {
      const deadline = entry.sinceMs + this.#limits.handshakeMs
      if (now >= deadline + (entry.isHandedOver ? NODE_MARGIN_MS : 0)) this.#close(entry, 'slow')
      else {
        // Entries are in order, so that only those of the last margin are looked at twice.
        this.#timer ??= this.#clock.after(Math.max(deadline - now, NODE_MARGIN_MS / 2), this.#expire)
        if (now < deadline) break
      }
    }
  }
}

function first<T>(set: Set<T>): T {
  return set.values().next().value as T // callers ask only sets that hold one
}
