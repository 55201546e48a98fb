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

/** A hint that something changed; may be lost, late or doubled. The lease is the truth. */
export type DirectoryChange =
  | { readonly is: 'claimed'; readonly key: LeaseKey; readonly lease: Lease }
  | { readonly is: 'released'; readonly key: LeaseKey; readonly epoch: number }
  | { readonly is: 'retired'; readonly app: string; readonly address: string; readonly generation: number }

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
   * its old epoch, when the directory has forgotten the key. Throws `superseded` when another
   * epoch holds the key, `retired`, or `unavailable`.
   */
  renew(key: LeaseKey, lease: Lease, ttlMs: number): Promise<Lease>
  /** Gives the lease of this epoch up. False: it was no longer held. Throws `unavailable`. */
  release(key: LeaseKey, epoch: number): Promise<boolean>
  /** The live lease. Undefined: none. Throws `unavailable`, which says nothing about the address. */
  lookup(key: LeaseKey): Promise<Lease | undefined>
  /**
   * Ends an address up to and including a token generation: both classes' leases of such a
   * generation go at once, and no later claim or renewal of one is granted, whatever its epoch.
   * Throws `unavailable`.
   */
  retire(app: string, address: string, generation: number): Promise<void>
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
