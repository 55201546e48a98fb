/**
 * A directory that answers late, in any order, and sometimes not at all: what a relay sees of a
 * directory on another machine; or, where it is the relay's own, the one in its memory. Used by test/sim.
 */
import {
  type Claim,
  type Directory,
  type DirectoryChange,
  DirectoryError,
  type Lease,
  type LeaseKey,
  type NodeRecord,
} from '../../relay/directory/directory.ts'
import type { Party } from './party.ts'
import type { Dice } from './random.ts'

export class SimDirectory implements Directory {
  readonly #inner: Directory
  readonly #party: Party
  readonly #dice: Dice
  readonly #latencyMs: number
  readonly #isShared: boolean
  /** Until the latest of these every call fails. */
  readonly #outages: readonly { readonly untilMs: number }[]
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  /** It was seen to be away, and not yet that it is back. */
  #isAway = false
  #returnedMs = Number.NEGATIVE_INFINITY

  /** `party`: the relay that asks. `isShared`: with other relays, so that what it tells is only a hint. */
  constructor(
    inner: Directory,
    party: Party,
    dice: Dice,
    latencyMs: number,
    isShared: boolean,
    outages: readonly { readonly untilMs: number }[],
  ) {
    this.#isShared = isShared
    this.#inner = inner
    this.#party = party
    this.#dice = dice
    this.#latencyMs = latencyMs
    this.#outages = outages
  }

  get emptySinceMs(): number {
    return Math.max(this.#inner.emptySinceMs, this.#returnedMs)
  }
  /** Noticed when it is needed or looked at, as by the beat of a real one; so is its return, and told. */
  get isReachable(): boolean {
    const now = this.#party.clock.now()
    if (this.#outages.some(({ untilMs }) => now < untilMs)) {
      this.#isAway = true
      return false
    }
    if (this.#isAway) {
      this.#isAway = false
      // What came back may not be what went: as redis-connection.ts has it.
      this.#returnedMs = this.#party.clock.now()
      this.#party.after(0, () => {
        for (const listener of this.#listeners) listener({ is: 'returned' })
      })
    }
    return true
  }

  claim(key: LeaseKey, claim: Claim, ttlMs: number): Promise<Lease> {
    return this.#call(() => this.#inner.claim(key, claim, ttlMs))
  }
  renew(key: LeaseKey, lease: Lease, ttlMs: number): Promise<Lease> {
    return this.#call(() => this.#inner.renew(key, lease, ttlMs))
  }
  release(key: LeaseKey, epoch: number): Promise<boolean> {
    return this.#call(() => this.#inner.release(key, epoch))
  }
  lookup(key: LeaseKey): Promise<Lease | undefined> {
    return this.#call(() => this.#inner.lookup(key))
  }
  retire(app: string, address: string, generation: number): Promise<void> {
    return this.#call(() => this.#inner.retire(app, address, generation))
  }
  /** Without a draw: schedules that were found before it was asked replay as they were. */
  retiredUpTo(app: string, address: string): Promise<number> {
    return this.#call(
      () => this.#inner.retiredUpTo(app, address),
      () => this.#latencyMs / 2,
    )
  }
  announce(record: NodeRecord, ttlMs: number): void {
    if (this.isReachable) this.#inner.announce(record, ttlMs)
  }
  nodes(): readonly NodeRecord[] {
    return this.#inner.nodes()
  }
  subscribe(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    const unsubscribe = this.#inner.subscribe((change) => {
      // From within the call that changed it, as memory does: a relay once told itself its own news for ever.
      if (!this.#isShared) return listener(change)
      if (this.#dice.chance(0.2)) return // a hint may be lost
      this.#party.after(this.#delay(), () => listener(change))
    })
    return () => {
      this.#listeners.delete(listener)
      unsubscribe()
    }
  }
  close(): Promise<void> {
    return Promise.resolve()
  }

  #delay(): number {
    return this.#latencyMs === 0 ? 0 : this.#dice.next() * this.#latencyMs
  }

  #call<T>(call: () => Promise<T>, delay = (): number => this.#delay()): Promise<T> {
    const { clock } = this.#party
    if (this.#latencyMs === 0 && this.isReachable) {
      clock.promiseSettled()
      return call()
    }
    return new Promise<T>((resolve, reject) => {
      clock.after(delay(), () => {
        const answer = this.isReachable
          ? call()
          : Promise.reject(new DirectoryError('unavailable', 'the directory is away'))
        clock.promiseSettled()
        answer.then(
          (value) => this.#party.after(delay(), () => this.#settle(() => resolve(value))),
          (cause) => this.#party.after(delay(), () => this.#settle(() => reject(cause))),
        )
      })
    })
  }

  #settle(settle: () => void): void {
    this.#party.clock.promiseSettled()
    settle()
  }
}
