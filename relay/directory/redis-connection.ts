/**
 * The connections of one relay to Redis, and whether it answers: commands that fail at once while
 * it is away, hints, and a beat each second that shows that it lives, tells of this relay, hears
 * of the others and finds out since when Redis is empty. Used by redis.ts only.
 */
import type { Clock, Timer } from '../time/clock.ts'
import { DirectoryError, type NodeRecord } from './directory.ts'
import { connectRedis, type RedisAccess, type RedisClient } from './redis-client.ts'
import { beatScript, markScript, type Script } from './redis-scripts.ts'
import { serversOf } from './redis-url.ts'

/** Where it is told that Redis went and came back. */
export interface RedisLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface RedisEvents {
  /** A message of the channel. */
  hint(text: string): void
  /** What was read until now may be wrong from now on. */
  doubt(): void
  /** Redis answers, for the first time or again. */
  returned(): void
}

/** away: the last word was a failure, and nothing is asked until a beat gets through. */
type State =
  | { readonly is: 'away'; readonly since: number }
  | { readonly is: 'up' }
  | { readonly is: 'closed' }

const NODES = 'slr:{fleet}:nodes'
const BORN = 'slr:{fleet}:born'
/** In a Cluster, marks lie in so many places that every node has one. */
const MARKS = 16
const BEAT_MS = 1_000
const RETRY_MS = 250
/** What ioredis says of a command when there is no connection: why there is none came as an event before. */
const NO_CONNECTION = /^(Stream isn't writeable|Connection is closed|the connection was lost)/
/** Answers of a server that cannot do its work now; any other refusal is about the command. */
const NOT_NOW = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF)/
const REFUSES_US = /WRONGPASS|NOAUTH|NOPERM|DB index is out of range/

export class RedisConnection {
  readonly #clock: Clock
  readonly #log: RedisLog
  readonly #events: RedisEvents
  readonly #isCluster: boolean
  readonly #servers: string
  readonly #client: RedisClient
  readonly #hints: RedisClient
  #isHearing = false
  #state: State
  #emptySinceMs: number
  #announced: { readonly record: NodeRecord; readonly ttlMs: number } | undefined
  #nodes: readonly NodeRecord[] = []
  #beatTimer: Timer | undefined
  #isBeating = false
  #lastFailure = 'not connected yet'
  /** Why the last connection could not be made, or was lost. */
  #connectFailure: string | undefined
  beats = 0

  constructor(access: RedisAccess, channel: string, clock: Clock, log: RedisLog, events: RedisEvents) {
    this.#clock = clock
    this.#log = log
    this.#events = events
    this.#isCluster = access.target.is === 'cluster'
    this.#servers = serversOf(access.target)
    this.#state = { is: 'away', since: clock.now() }
    this.#emptySinceMs = clock.now()
    this.#client = connectRedis(access, 'commands')
    this.#hints = connectRedis(access, 'hints')
    for (const client of [this.#client, this.#hints]) {
      client.on('error', (error: Error) => this.#note(error))
    }
    this.#client.on('close', () => this.#fail('the connection was lost'))
    this.#client.on('ready', () => void this.#beatNow())
    // Until it is subscribed, what was read may be overtaken unseen.
    this.#hints.on('close', () => {
      this.#isHearing = false
      events.doubt()
    })
    this.#hints.on('message', (_channel: string, text: string) => events.hint(text))
    this.#hints.on('ready', () => this.#subscribe(channel))
    this.#beatLater(0)
  }

  /** After each connect: Redis forgot what was subscribed with the connection. */
  #subscribe(channel: string): void {
    this.#hints.subscribe(channel).then(
      () => {
        this.#isHearing = true
      },
      (error: unknown) => {
        this.#note(error)
        if (this.#state.is !== 'closed') this.#clock.after(RETRY_MS, () => this.#subscribe(channel))
      },
    )
  }

  /** Settles when Redis answers and hints come, when it refuses us for good (with its words), or after `ms`. */
  async settled(ms: number): Promise<string | undefined> {
    const deadline = this.#clock.now() + ms
    while (this.#clock.now() < deadline && !(this.isUp && this.#isHearing)) {
      if (REFUSES_US.test(this.#lastFailure)) return this.#lastFailure
      await new Promise<void>((resolve) => {
        this.#clock.after(25, resolve)
      })
    }
    if (!this.isUp)
      this.#log.warn(
        { redis: this.#servers, detail: this.#lastFailure },
        'Redis cannot be reached; goes on trying',
      )
    return undefined
  }

  get isUp(): boolean {
    return this.#state.is === 'up'
  }
  /** Hints come. */
  get isHearing(): boolean {
    return this.#isHearing
  }
  get emptySinceMs(): number {
    return this.#emptySinceMs
  }
  get nodes(): readonly NodeRecord[] {
    return this.#nodes
  }

  announce(record: NodeRecord, ttlMs: number): void {
    const isNews = this.#announced?.record.isLeaving !== record.isLeaving
    this.#announced = { record, ttlMs }
    if (isNews && this.isUp) void this.#beatNow()
  }

  close(): void {
    this.#state = { is: 'closed' }
    this.#beatTimer?.cancel()
    this.#client.disconnect()
    this.#hints.disconnect()
  }

  /**
   * Runs a script. Fails at once while Redis is away, so that nobody waits for a time-out that is
   * known already. Rejects with DirectoryError `unavailable`.
   */
  async ask<T>(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<T> {
    if (this.#state.is !== 'up') throw unavailable(this.#lastFailure)
    try {
      return await this.#run<T>(script, keys, args)
    } catch (cause) {
      const { name, message } = cause as Error
      const isAboutCommand = name === 'ReplyError' && !NOT_NOW.test(message)
      // One node of a Cluster does not speak for the others.
      if (!this.#isCluster && !isAboutCommand) this.#fail(message, isTimeout(message))
      throw unavailable(message, cause)
    }
  }

  /** Nothing was found: was it ever? A Redis emptied a moment ago must not be taken at its word. Rejects with `unavailable`. */
  async checkBirth(): Promise<void> {
    try {
      if (this.#isCluster) return await this.#checkMarks()
      const sentAtMs = this.#clock.now()
      this.#born(sentAtMs, Number(await this.#run<string>(markScript, [BORN], [])))
    } catch (cause) {
      throw unavailable((cause as Error).message, cause)
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
    this.#beatLater(this.isUp ? BEAT_MS : RETRY_MS)
  }

  async #beatOnce(): Promise<void> {
    const announced = this.#announced
    const sentAtMs = this.#clock.now()
    this.beats += 1
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
    this.#connectFailure = undefined
    this.#born(sentAtMs, Number(age))
    if (this.#isCluster) await this.#checkMarks().catch((error: unknown) => this.#note(error))
    if (wasAway === undefined) return
    // Whoever comes back may have lost its last writes, or all of them.
    this.#emptySinceMs = this.#clock.now()
    this.#events.doubt()
    this.#log.info({ awayMs: Math.round(this.#clock.now() - wasAway.since) }, 'Redis answers')
    this.#events.returned()
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
      this.#events.doubt()
    }
  }

  /** `isHung`: it has our commands and does not answer; another connection may find another master. */
  #fail(detail: string, isHung = false): void {
    this.#lastFailure = NO_CONNECTION.test(detail) ? (this.#connectFailure ?? detail) : detail
    if (this.#state.is === 'closed') return
    if (isHung && !this.#isCluster) {
      this.#client.disconnect(true)
      this.#hints.disconnect(true)
    }
    if (this.#state.is === 'away') return
    this.#state = { is: 'away', since: this.#clock.now() }
    this.#events.doubt()
    this.#log.warn({ redis: this.#servers, detail: this.#lastFailure }, 'Redis does not answer')
    this.#beatLater(RETRY_MS)
  }

  #note(error: unknown): void {
    if (!(error instanceof Error)) return
    const { code } = error as NodeJS.ErrnoException
    this.#lastFailure = error.message || code || error.name
    this.#connectFailure = this.#lastFailure
  }
}

/** Peers are told the sentence; where Redis is and what it said is for the log, as the cause. */
function unavailable(detail: string, cause?: unknown): DirectoryError {
  return new DirectoryError('unavailable', 'the directory does not answer now', {
    cause: new Error(`Redis: ${detail}`, { cause }),
  })
}

function isTimeout(message: string): boolean {
  return message.includes('timed out')
}
