/**
 * The directory of a fleet: leases in Redis, one script an operation, so that whatever a relay
 * read is decided where it is kept. Publish/subscribe only hints. Used by relay/server/run.ts.
 */
import type { Clock, Timer } from '../time/clock.ts'
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
import { connectRedis, type RedisAccess, type RedisClient } from './redis-client.ts'
import {
  beatScript,
  claimScript,
  lookupScript,
  markScript,
  releaseScript,
  renewScript,
  retireScript,
  type Script,
} from './redis-scripts.ts'

export interface RedisDirectoryOptions extends RedisAccess {
  readonly clock: Clock
  /** Where it is told that Redis went and came back. */
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
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
  readonly commands: Readonly<Record<'claim' | 'renew' | 'release' | 'lookup' | 'retire' | 'beat', number>>
  readonly cacheHits: number
}

/** away: the last word was a failure, and nothing is asked until a beat gets through. */
type State =
  | { readonly is: 'away'; readonly since: number }
  | { readonly is: 'up' }
  | { readonly is: 'closed' }

const CHANNEL = 'slr:changes'
const NODES = 'slr:{fleet}:nodes'
const BORN = 'slr:{fleet}:born'
/** In a Cluster, marks lie in so many places that every node has one. */
const MARKS = 16
const BEAT_MS = 1_000
const RETRY_MS = 250
const CACHE_MS = 2_000
const CACHE_ENTRIES = 20_000

export class RedisDirectory implements Directory {
  readonly #clock: Clock
  readonly #log: RedisDirectoryOptions['log']
  readonly #rememberMs: number
  readonly #isCluster: boolean
  readonly #client: RedisClient
  readonly #hints: RedisClient
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  readonly #cache = new LeaseCache(CACHE_MS, CACHE_ENTRIES)
  readonly #asking = new Map<string, Promise<Lease | undefined>>()
  readonly #commands = { claim: 0, renew: 0, release: 0, lookup: 0, retire: 0, beat: 0 }
  #cacheHits = 0
  #isHearing = false
  #state: State
  #emptySinceMs: number
  /** Highest epoch seen: a Redis whose clock is behind goes on from here. */
  #highestEpoch = 0
  #announced: { readonly record: NodeRecord; readonly ttlMs: number } | undefined
  #nodes: readonly NodeRecord[] = []
  #beatTimer: Timer | undefined
  #lastFailure = 'not connected yet'
  #isBeating = false

  private constructor(options: RedisDirectoryOptions) {
    this.#clock = options.clock
    this.#log = options.log
    this.#rememberMs = options.rememberMs ?? 24 * 3_600_000
    this.#isCluster = options.target.is === 'cluster'
    this.#state = { is: 'away', since: this.#clock.now() }
    this.#emptySinceMs = this.#clock.now()
    this.#client = connectRedis(options, 'commands')
    this.#hints = connectRedis(options, 'hints')
    for (const client of [this.#client, this.#hints]) {
      client.on('error', (error: Error) => this.#note(error))
    }
    this.#client.on('close', () => this.#fail('the connection was lost'))
    this.#client.on('ready', () => void this.#beatNow())
    // Until it is subscribed, what was read may be overtaken unseen.
    this.#hints.on('close', () => {
      this.#isHearing = false
      this.#cache.clear()
    })
    this.#hints.on('ready', () => {
      this.#isHearing = true
    })
    this.#hints.on('message', (_channel: string, text: string) => this.#hear(text))
  }

  /**
   * Settles when Redis has answered or after `waitMs`: a Redis that is away now may come later, and
   * until then `isReachable` is false. Rejects with RedisAccessError when it refuses us.
   */
  static async open(options: RedisDirectoryOptions, waitMs = 3_000): Promise<RedisDirectory> {
    const directory = new RedisDirectory(options)
    const subscribed = directory.#hints.subscribe(CHANNEL)
    subscribed.catch((error: unknown) => directory.#note(error))
    directory.#beatLater(0)
    const deadline = directory.#clock.now() + waitMs
    while (directory.#clock.now() < deadline) {
      if (/WRONGPASS|NOAUTH|NOPERM|DB index is out of range/.test(directory.#lastFailure)) {
        await directory.close()
        throw new RedisAccessError(`Redis refuses this relay: ${directory.#lastFailure}`)
      }
      if (directory.isReachable && directory.#isHearing) {
        await subscribed.catch(() => {})
        return directory
      }
      await new Promise<void>((resolve) => {
        directory.#clock.after(25, resolve)
      })
    }
    if (!directory.isReachable)
      directory.#log.warn({ detail: directory.#lastFailure }, 'Redis cannot be reached; goes on trying')
    return directory
  }

  get isReachable(): boolean {
    return this.#state.is === 'up'
  }
  get emptySinceMs(): number {
    return this.#emptySinceMs
  }
  get figures(): RedisFigures {
    return { commands: { ...this.#commands }, cacheHits: this.#cacheHits }
  }

  async claim(key: LeaseKey, claim: Claim, ttlMs: number): Promise<Lease> {
    const keys = keysOf(key)
    const sentAtMs = this.#clock.now()
    const hint = { is: 'claimed', ...key, lease: claim, ttlMs }
    const [word, detail] = await this.#ask<[string, string]>(
      'claim',
      claimScript,
      [keys.lease, keys.address],
      [...this.#leaseArguments(claim, ttlMs), this.#highestEpoch, CHANNEL, JSON.stringify(hint)],
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
    return (await this.#ask<number>('release', releaseScript, [lease], [epoch, CHANNEL, hint])) === 1
  }

  async lookup(key: LeaseKey, age: LookupAge = 'fresh'): Promise<Lease | undefined> {
    const { lease: name } = keysOf(key)
    if (age === 'fresh') return this.#read(name)
    const cached = this.#isHearing && this.isReachable ? this.#cache.get(name, this.#clock.now()) : undefined
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
      [generation, this.#rememberMs, CHANNEL, hint],
    )
  }

  announce(record: NodeRecord, ttlMs: number): void {
    const isNews = this.#announced?.record.isLeaving !== record.isLeaving
    this.#announced = { record, ttlMs }
    if (isNews && this.isReachable) void this.#beatNow()
  }

  nodes(): readonly NodeRecord[] {
    return this.#nodes
  }

  subscribe(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#state.is === 'closed') return
    this.#state = { is: 'closed' }
    this.#beatTimer?.cancel()
    this.#listeners.clear()
    this.#client.disconnect()
    this.#hints.disconnect()
  }

  // ---- asking ----

  #leaseArguments(claim: Claim, ttlMs: number): (string | number)[] {
    const { generation, incarnation, counter, node, urls } = claim
    return [generation, incarnation, counter, node, JSON.stringify(urls), ttlMs, this.#rememberMs]
  }

  /** Fails at once while Redis is away, so that nobody waits for a time-out that is known already. */
  async #ask<T>(
    what: keyof RedisFigures['commands'],
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<T> {
    if (this.#state.is !== 'up') throw new DirectoryError('unavailable', `Redis: ${this.#lastFailure}`)
    this.#commands[what] += 1
    try {
      return await this.#run<T>(script, keys, args)
    } catch (cause) {
      const { message } = cause as Error
      // One node of a Cluster does not speak for the others.
      if (!this.#isCluster) this.#fail(message, isTimeout(message))
      throw new DirectoryError('unavailable', `Redis: ${message}`, { cause })
    }
  }

  async #run<T>(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<T> {
    try {
      return (await this.#client.evalsha(script.sha, script.keys, ...keys, ...args)) as T
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      return (await this.#client.eval(script.lua, script.keys, ...keys, ...args)) as T
    }
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
    // Nothing there: was it ever? A Redis emptied a moment ago must not be taken at its word.
    await this.#checkBirth()
    return undefined
  }

  #see(name: string, lease: Lease): void {
    if (lease.epoch > this.#highestEpoch) this.#highestEpoch = lease.epoch
    if (this.#isHearing) this.#cache.put(name, lease, this.#clock.now())
  }

  // ---- health ----

  #beatLater(ms: number): void {
    this.#beatTimer?.cancel()
    if (this.#state.is === 'closed') return
    this.#beatTimer = this.#clock.after(ms, () => void this.#beatNow())
  }

  /** Says that we live, hears who else does, and shows whether Redis answers. Never rejects. */
  async #beatNow(): Promise<void> {
    if (this.#state.is === 'closed' || this.#isBeating) return
    this.#isBeating = true
    this.#beatTimer?.cancel()
    try {
      await this.#beatOnce()
    } catch (error) {
      const { message } = error as Error
      this.#fail(message, isTimeout(message))
    }
    this.#isBeating = false
    this.#beatLater(this.isReachable ? BEAT_MS : RETRY_MS)
  }

  async #beatOnce(): Promise<void> {
    const announced = this.#announced
    const sentAtMs = this.#clock.now()
    this.#commands.beat += 1
    const [age, ...records] = await this.#run<string[]>(
      beatScript,
      [NODES, BORN],
      [
        announced?.record.node ?? '',
        announced ? JSON.stringify(announced.record) : '',
        announced?.ttlMs ?? 0,
      ],
    )
    if (this.#state.is === 'closed') return
    this.#nodes = records.map((text) => JSON.parse(text) as NodeRecord)
    const wasAway = this.#state.is === 'away' ? this.#state : undefined
    this.#state = { is: 'up' }
    this.#born(sentAtMs, Number(age))
    if (this.#isCluster) await this.#checkMarks().catch((error: unknown) => this.#note(error))
    if (wasAway === undefined) return
    // Whoever comes back may have lost its last writes, or all of them.
    this.#emptySinceMs = this.#clock.now()
    this.#cache.clear()
    this.#log.info({ awayMs: Math.round(this.#clock.now() - wasAway.since) }, 'Redis answers')
    this.#tell({ is: 'returned' })
  }

  async #checkBirth(): Promise<void> {
    try {
      if (this.#isCluster) return await this.#checkMarks()
      const sentAtMs = this.#clock.now()
      this.#born(sentAtMs, Number(await this.#run<string>(markScript, [BORN], [])))
    } catch (cause) {
      throw new DirectoryError('unavailable', `Redis: ${(cause as Error).message}`, { cause })
    }
  }

  async #checkMarks(): Promise<void> {
    const sentAtMs = this.#clock.now()
    const marks = Array.from({ length: MARKS }, (_, i) =>
      this.#run<string>(markScript, [`slr:{mark${i}}:born`], []),
    )
    for (const age of await Promise.all(marks)) this.#born(sentAtMs, Number(age))
  }

  #born(sentAtMs: number, ageMs: number): void {
    const atMs = sentAtMs - ageMs
    // The clocks tick differently by a little: only what is clearly later is another birth.
    if (atMs > this.#emptySinceMs + 1_000) {
      this.#emptySinceMs = atMs
      this.#cache.clear()
    }
  }

  /** `isHung`: it has our commands and does not answer; another connection may find another master. */
  #fail(detail: string, isHung = false): void {
    this.#lastFailure = detail
    if (this.#state.is === 'closed') return
    if (isHung && !this.#isCluster) {
      this.#client.disconnect(true)
      this.#hints.disconnect(true)
    }
    if (this.#state.is === 'away') return
    this.#state = { is: 'away', since: this.#clock.now() }
    this.#cache.clear()
    this.#log.warn({ detail }, 'Redis does not answer')
    this.#beatLater(RETRY_MS)
  }

  #note(error: unknown): void {
    if (error instanceof Error) this.#lastFailure = error.message
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

function isTimeout(message: string): boolean {
  return message.includes('timed out')
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
