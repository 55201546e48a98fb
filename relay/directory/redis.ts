/**
 * The directory of a fleet: leases in Redis, one script an operation, so that whatever a relay
 * read is decided where it is kept. Publish/subscribe only hints. Used by relay/server/run.ts.
 */
import type { Clock } from '../time/clock.ts'
import {
  type Claim,
  type Directory,
  type DirectoryChange,
  DirectoryError,
  type DirectoryErrorCode,
  type Lease,
  type LeaseKey,
  type LookupAge,
  type NodeRecord,
} from './directory.ts'
import { LeaseCache } from './lease-cache.ts'
import type { RedisAccess } from './redis-client.ts'
import { RedisConnection, type RedisLog } from './redis-connection.ts'
import {
  claimScript,
  lookupScript,
  releaseScript,
  renewScript,
  retiredScript,
  retireScript,
  type Script,
} from './redis-scripts.ts'

export interface RedisDirectoryOptions extends RedisAccess {
  readonly clock: Clock
  readonly log: RedisLog
  /** How long the generations of an address are remembered after its last change, ms. Default 24 h. */
  readonly rememberMs?: number
}

/** Redis refused us for good: a password, a database number. */
export class RedisAccessError extends Error {
  override readonly name = 'RedisAccessError'
  readonly exitCode = 2
}

/** Commands that were sent, for the figures. */
export interface RedisFigures {
  readonly commands: Readonly<
    Record<'claim' | 'renew' | 'release' | 'lookup' | 'retire' | 'retired' | 'beat', number>
  >
  readonly cacheHits: number
}

/** Publish/subscribe knows no databases, so each has a channel of its own: a fleet hears only itself. */
const channelOf = (db: number): string => (db === 0 ? 'slr:changes' : `slr:changes:${db}`)
const CACHE_MS = 2_000
const CACHE_ENTRIES = 20_000

export class RedisDirectory implements Directory {
  readonly #clock: Clock
  readonly #rememberMs: number
  readonly #redis: RedisConnection
  readonly #channel: string
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  readonly #cache = new LeaseCache(CACHE_MS, CACHE_ENTRIES)
  readonly #asking = new Map<string, Promise<Lease | undefined>>()
  readonly #commands = { claim: 0, renew: 0, release: 0, lookup: 0, retire: 0, retired: 0 }
  #cacheHits = 0
  /** Highest epoch seen: a Redis whose clock is behind goes on from here. */
  #highestEpoch = 0

  private constructor(options: RedisDirectoryOptions) {
    const { clock, log } = options
    this.#clock = clock
    this.#rememberMs = options.rememberMs ?? 24 * 3_600_000
    this.#channel = channelOf(options.target.db)
    this.#redis = new RedisConnection(options, this.#channel, clock, log, {
      hint: (text) => this.#hear(text),
      doubt: () => this.#cache.clear(),
      returned: () => this.#tell({ is: 'returned' }),
    })
  }

  /**
   * Settles when Redis has answered or after `waitMs`: a Redis that is away now may come later, and
   * until then `isReachable` is false. Rejects with RedisAccessError when it refuses us.
   */
  static async open(options: RedisDirectoryOptions, waitMs = 3_000): Promise<RedisDirectory> {
    const directory = new RedisDirectory(options)
    const refusal = await directory.#redis.settled(waitMs)
    if (refusal === undefined) return directory
    await directory.close()
    throw new RedisAccessError(`Redis refuses this relay: ${refusal}`)
  }

  get isReachable(): boolean {
    return this.#redis.isUp
  }
  get emptySinceMs(): number {
    return this.#redis.emptySinceMs
  }
  get figures(): RedisFigures {
    return { commands: { ...this.#commands, beat: this.#redis.beats }, cacheHits: this.#cacheHits }
  }

  async claim(key: LeaseKey, claim: Claim, ttlMs: number): Promise<Lease> {
    const keys = keysOf(key)
    const sentAtMs = this.#clock.now()
    const hint = { is: 'claimed', ...key, lease: claim, ttlMs }
    const [word, detail] = await this.#ask<[string, string]>(
      'claim',
      claimScript,
      [keys.lease, keys.address],
      [...this.#leaseArguments(claim, ttlMs), this.#highestEpoch, this.#channel, JSON.stringify(hint)],
    )
    if (word !== 'ok') throw refusal(word, key, detail, claim)
    const lease: Lease = { ...claim, epoch: Number(detail), expiresAtMs: sentAtMs + ttlMs }
    this.#see(keys.lease, lease)
    return lease
  }

  async renew(key: LeaseKey, lease: Lease, ttlMs: number): Promise<Lease> {
    const keys = keysOf(key)
    const sentAtMs = this.#clock.now()
    const [word, detail] = await this.#ask<[string, string]>(
      'renew',
      renewScript,
      [keys.lease, keys.address],
      [...this.#leaseArguments(lease, ttlMs), lease.epoch],
    )
    if (word !== 'ok') {
      this.#cache.drop(keys.lease)
      throw refusal(word, key, detail, lease)
    }
    return { ...lease, expiresAtMs: sentAtMs + ttlMs }
  }

  async release(key: LeaseKey, epoch: number): Promise<boolean> {
    const { lease } = keysOf(key)
    this.#cache.drop(lease)
    const hint = JSON.stringify({ is: 'released', ...key })
    return (await this.#ask<number>('release', releaseScript, [lease], [epoch, this.#channel, hint])) === 1
  }

  async lookup(key: LeaseKey, age: LookupAge = 'fresh'): Promise<Lease | undefined> {
    const { lease: name } = keysOf(key)
    if (age === 'fresh') return this.#read(name)
    const cached =
      this.#redis.isHearing && this.#redis.isUp ? this.#cache.get(name, this.#clock.now()) : undefined
    if (cached !== undefined) {
      this.#cacheHits += 1
      return cached
    }
    // A hundred readers that open to one writer at once ask once.
    const asked = this.#asking.get(name)
    if (asked !== undefined) return asked
    const asking = this.#read(name).finally(() => this.#asking.delete(name))
    this.#asking.set(name, asking)
    return asking
  }

  async retire(app: string, address: string, generation: number): Promise<void> {
    const keys = keysOf({ app, address, class: 'urgent' })
    const bulk = keysOf({ app, address, class: 'bulk' })
    this.#cache.drop(keys.lease)
    this.#cache.drop(bulk.lease)
    const hint = JSON.stringify({ is: 'retired', app, address, generation })
    await this.#ask<number>(
      'retire',
      retireScript,
      [keys.address, keys.lease, bulk.lease],
      [generation, this.#rememberMs, this.#channel, hint],
    )
  }

  async retiredUpTo(app: string, address: string): Promise<number> {
    const { address: name } = keysOf({ app, address, class: 'urgent' })
    return Number((await this.#ask<string | null>('retired', retiredScript, [name], [])) ?? -1)
  }

  announce(record: NodeRecord, ttlMs: number): void {
    this.#redis.announce(record, ttlMs)
  }

  nodes(): readonly NodeRecord[] {
    return this.#redis.nodes
  }

  subscribe(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
    this.#redis.close()
  }

  // ---- asking ----

  #leaseArguments(claim: Claim, ttlMs: number): (string | number)[] {
    const { generation, incarnation, counter, node, urls } = claim
    return [generation, incarnation, counter, node, JSON.stringify(urls), ttlMs, this.#rememberMs]
  }

  #ask<T>(
    what: Exclude<keyof RedisFigures['commands'], 'beat'>,
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<T> {
    if (this.#redis.isUp) this.#commands[what] += 1
    return this.#redis.ask<T>(script, keys, args)
  }

  async #read(name: string): Promise<Lease | undefined> {
    const askedAtMs = this.#clock.now()
    const found = await this.#ask<string[]>('lookup', lookupScript, [name], [])
    if (found.length > 0) {
      const [generation, incarnation = '', counter, node = '', urls = '[]', epoch, leftMs] = found
      const lease: Lease = {
        generation: Number(generation),
        incarnation,
        counter: Number(counter),
        node,
        urls: JSON.parse(urls) as string[],
        epoch: Number(epoch),
        expiresAtMs: askedAtMs + Number(leftMs),
      }
      this.#see(name, lease)
      return lease
    }
    this.#cache.drop(name)
    await this.#redis.checkBirth()
    return undefined
  }

  #see(name: string, lease: Lease): void {
    if (lease.epoch > this.#highestEpoch) this.#highestEpoch = lease.epoch
    if (this.#redis.isHearing) this.#cache.put(name, lease, this.#clock.now())
  }

  // ---- hints ----

  #hear(text: string): void {
    const space = text.indexOf(' ')
    const epoch = Number(text.slice(0, space))
    let hint: Hint
    try {
      hint = JSON.parse(text.slice(space + 1)) as Hint
    } catch {
      return // not one of ours
    }
    if (hint.is === 'retired') {
      for (const each of ['urgent', 'bulk'] as const) {
        this.#cache.drop(keysOf({ app: hint.app, address: hint.address, class: each }).lease)
      }
      return this.#tell({ is: 'retired', app: hint.app, address: hint.address, generation: hint.generation })
    }
    const key: LeaseKey = { app: hint.app, address: hint.address, class: hint.class }
    const { lease: name } = keysOf(key)
    if (hint.is === 'released') {
      this.#cache.drop(name)
      return this.#tell({ is: 'released', key, epoch })
    }
    const lease: Lease = { ...hint.lease, epoch, expiresAtMs: this.#clock.now() + hint.ttlMs }
    this.#see(name, lease)
    this.#tell({ is: 'claimed', key, lease })
  }

  #tell(change: DirectoryChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}

type Hint =
  | (LeaseKey & { readonly is: 'claimed'; readonly lease: Claim; readonly ttlMs: number })
  | (LeaseKey & { readonly is: 'released' })
  | { readonly is: 'retired'; readonly app: string; readonly address: string; readonly generation: number }

/** All keys of one address have one tag. Applications and addresses hold neither braces nor slashes. */
function keysOf(key: LeaseKey): { lease: string; address: string } {
  const tag = `slr:{${key.app}/${key.address}}`
  return { lease: `${tag}:${key.class}`, address: `${tag}:address` }
}

function refusal(word: string, key: LeaseKey, detail: string, claim: Claim): DirectoryError {
  const name = `${key.address} (${key.class})`
  switch (word as DirectoryErrorCode) {
    case 'retired':
      return new DirectoryError(
        'retired',
        `${name} generation ${claim.generation} is over, from ${Number(detail) + 1} on`,
      )
    case 'taken':
      return new DirectoryError('taken', `${name} is held by another process of this generation`)
    case 'superseded':
      return new DirectoryError('superseded', `${name} has a newer link (${detail})`)
    default:
      return new DirectoryError('unavailable', `Redis answered ${word}`)
  }
}
