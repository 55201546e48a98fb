/**
 * Who is home where: a lease for each (application, address, class). The interface, and what
 * every implementation must keep; test/contract/directory.ts is its definition. Used by
 * relay/server; implemented by memory.ts (one relay) and, for a fleet, on Redis.
 */
import type { TrafficClass } from '../wire/control.ts'

/** What a lease is about. The two classes of an address may have different homes. */
export interface LeaseKey {
  readonly app: string
  readonly address: string
  readonly class: TrafficClass
}

/** Who wants to be home, and for which attachment. */
export interface Claim {
  /** Identity of the relay process that becomes the home. */
  readonly node: string
  /** URLs by which endpoints reach that relay. */
  readonly urls: readonly string[]
  /** Token generation of the address. */
  readonly generation: number
  /** The endpoint's process. */
  readonly incarnation: string
  /** The endpoint's own count of its links of this class. */
  readonly counter: number
}

/** A claim that was granted. */
export interface Lease extends Claim {
  /** Number of the attachment. Grows with every claim of a key, also after the lease ran out or the directory was emptied. */
  readonly epoch: number
  /** When it runs out unless renewed, ms on this process's Clock. */
  readonly expiresAtMs: number
}

/** What a relay tells the others of itself, and they of it: where it is and how much room it has. */
export interface NodeRecord {
  readonly node: string
  readonly urls: readonly string[]
  /** Classes that it wants to be home for; it takes visitors of both. */
  readonly classes: readonly TrafficClass[]
  /** Links attached. */
  readonly links: number
  /** Payload forwarded lately. */
  readonly bytesPerSecond: number
  /** It asks its endpoints to go: nobody is sent there. */
  readonly isLeaving: boolean
}

/**
 * How exact a lookup is. `fresh`: the lease as it is now. `cached`: may be some seconds old, and
 * then costs no round trip; whoever is named knows whether it is home.
 */
export type LookupAge = 'fresh' | 'cached'

/** A hint that something changed; may be lost, late or doubled. The lease is the truth. */
export type DirectoryChange =
  | { readonly is: 'claimed'; readonly key: LeaseKey; readonly lease: Lease }
  | { readonly is: 'released'; readonly key: LeaseKey; readonly epoch: number }
  | { readonly is: 'retired'; readonly app: string; readonly address: string; readonly generation: number }
  /** This process can reach the directory again. It may have forgotten anything meanwhile. */
  | { readonly is: 'returned' }

export interface Directory {
  /**
   * Takes the lease of `key` for `ttlMs` (1 or more) and answers it with its new epoch. One
   * atomic step, decided in this order:
   * - generation retired, or lower than one that held the address before: `retired`;
   * - no live lease, or one of a lower generation: granted;
   * - same generation, other incarnation: `taken`;
   * - same generation and incarnation: granted for a higher counter, else `superseded`.
   * Throws DirectoryError; `unavailable` when the directory cannot be asked.
   */
  claim(key: LeaseKey, claim: Claim, ttlMs: number): Promise<Lease>
  /**
   * Keeps `lease` for `ttlMs` from now and answers it with its new expiry. Writes it anew, under
   * its old epoch, when the directory has forgotten the key or holds an older epoch (it may have
   * lost its newest writes). Throws `superseded` when a higher epoch holds the key, `retired`, or
   * `unavailable`.
   */
  renew(key: LeaseKey, lease: Lease, ttlMs: number): Promise<Lease>
  /** Gives the lease of this epoch up. False: it was no longer held. Throws `unavailable`. */
  release(key: LeaseKey, epoch: number): Promise<boolean>
  /** The live lease. Undefined: none. `age`: default fresh. Throws `unavailable`, which says nothing about the address. */
  lookup(key: LeaseKey, age?: LookupAge): Promise<Lease | undefined>
  /**
   * Ends an address up to and including a token generation: both classes' leases of such a
   * generation go at once, and no later claim or renewal of one is granted, whatever its epoch.
   * Throws `unavailable`.
   */
  retire(app: string, address: string, generation: number): Promise<void>
  /** Up to which generation an address is over: retired, or followed by a higher one; -1: none. Throws `unavailable`. */
  retiredUpTo(app: string, address: string): Promise<number>
  /** Publishes a relay's record for `ttlMs`; at once or within a second. Never throws: a lost record is only a worse choice. */
  announce(record: NodeRecord, ttlMs: number): void
  /** The records of all live relays, as far as known; may be a second old. */
  nodes(): readonly NodeRecord[]
  /** Calls `listener` for changes, those made through this object included. Answers how to stop. */
  subscribe(listener: (change: DirectoryChange) => void): () => void
  /**
   * When this directory began empty, ms on this process's Clock: until a grace period has passed
   * since, an address without a lease may only not have come back yet.
   */
  readonly emptySinceMs: number
  /** False while claims and lookups would throw `unavailable`. */
  readonly isReachable: boolean
  /** Stops timers and connections. Leases stay. */
  close(): Promise<void>
}

/** Why a directory refuses. All but `unavailable` are close reasons of a link as well. */
export type DirectoryErrorCode = 'taken' | 'retired' | 'superseded' | 'unavailable'

export class DirectoryError extends Error {
  override readonly name = 'DirectoryError'
  readonly code: DirectoryErrorCode

  constructor(code: DirectoryErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options)
    this.code = code
  }
}
