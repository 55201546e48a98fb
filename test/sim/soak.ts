/**
 * What `npm run soak` does to real processes, on simulated ones: three relays, faults one after the other,
 * streams that say something all the time. Measures the longest time in which a stream got nothing. Used
 * by soak.sim.test.ts.
 */
import { Dice } from './random.ts'
import type { Script, Talker } from './talker.ts'
import { type SimEndpoint, type SimRelay, World } from './world.ts'

const RELAYS = ['relay-a', 'relay-b', 'relay-c']
const ENDPOINTS = 4
/** A quarter of real life, as in npm test. */
export const SILENCE_MS = 1_500
export const GRACE_MS = 2_500
const KEEPALIVE_MS = 500
/** Streams are looked at this often. */
const LOOK_MS = 25
const talkative: Script = { writes: 4_000_000, pieceBytes: 100, pauseMs: 50, readDelayMs: 0 }

export interface SoakResult {
  /** The faults, with when they began, ms. */
  readonly story: readonly string[]
  /** The longest time without a byte, ms: of all, and after the last fault was mended. */
  readonly longestMs: number
  readonly longestAfterMs: number
  /** Sentences: streams that were reset, and what must never be. */
  readonly wrong: readonly string[]
  /** When `isVerbose`. */
  readonly log: readonly string[]
}

interface Ear {
  readonly talker: Talker
  read: number
  heardMs: number
  longestMs: number
}

export class SimSoak {
  readonly #dice: Dice
  readonly #world: World
  readonly #endpoints: SimEndpoint[] = []
  readonly #ears: Ear[] = []
  readonly #story: string[] = []
  #isOver = false

  constructor(seed: number, isVerbose = false) {
    this.#dice = new Dice(seed)
    this.#world = new World({
      seed,
      relays: RELAYS,
      directoryLatencyMs: 3,
      isVerbose,
      relayLimits: {
        silenceMs: SILENCE_MS,
        graceMs: GRACE_MS,
        keepaliveMs: KEEPALIVE_MS,
        leaseMs: SILENCE_MS + GRACE_MS + 1_000,
      },
    })
  }

  async run(faults: number): Promise<SoakResult> {
    const world = this.#world
    await world.pass(1_500) // the relays have heard of each other
    await this.#populate()
    this.#listen()
    for (let i = 0; i < faults; i++) {
      await this.#fault()
      await world.pass(this.#dice.next() * 3_000)
    }
    this.#look()
    const longestMs = Math.max(...this.#ears.map((ear) => ear.longestMs))
    for (const ear of this.#ears) ear.longestMs = 0
    await world.pass(10 * (SILENCE_MS + GRACE_MS))
    this.#isOver = true
    const longestAfterMs = Math.max(...this.#ears.map((ear) => ear.longestMs))
    return {
      story: this.#story,
      longestMs: Math.max(longestMs, longestAfterMs),
      longestAfterMs,
      wrong: [...this.#resets(), ...world.faults],
      log: world.log,
    }
  }

  async #populate(): Promise<void> {
    const world = this.#world
    const limits = { silenceMs: SILENCE_MS, keepaliveMs: KEEPALIVE_MS, handshakeMs: 1_000 }
    for (let i = 0; i < ENDPOINTS; i++)
      this.#endpoints.push(world.endpoint({ address: `127.64.0.${i + 2}`, limits }))
    await world.pass(1_000)
    for (const [one, from] of this.#endpoints.entries()) {
      for (const to of this.#endpoints.slice(one + 1)) world.talk(from, to.address, talkative, talkative)
    }
    await world.pass(1_000)
    for (const { opener, acceptors } of world.conversations) {
      for (const talker of [opener, ...acceptors.map((acceptor) => acceptor.talker)])
        this.#ears.push({ talker, read: 0, heardMs: world.clock.now(), longestMs: 0 })
    }
  }

  #listen(): void {
    this.#look()
    if (!this.#isOver) this.#world.clock.after(LOOK_MS, () => this.#listen())
  }

  #look(): void {
    const now = this.#world.clock.now()
    for (const ear of this.#ears) {
      ear.longestMs = Math.max(ear.longestMs, now - ear.heardMs)
      if (ear.talker.read === ear.read) continue
      ear.read = ear.talker.read
      ear.heardMs = now
    }
  }

  *#resets(): Iterable<string> {
    for (const { talker } of this.#ears) {
      if (talker.fault !== undefined) yield talker.fault
      if (talker.ending !== undefined) yield `${talker.name} was ${JSON.stringify(talker.ending)}`
    }
  }

  #say(what: string): void {
    this.#story.push(`${Math.round(this.#world.clock.now())} ${what}`)
    this.#world.note('soak', what, {})
  }

  /** One fault, and its mending where it has one: what the endpoints make of it goes on. */
  async #fault(): Promise<void> {
    const world = this.#world
    const dice = this.#dice
    const relay = world.relays.get(dice.pick(RELAYS)) as SimRelay
    const endpoint = dice.pick(this.#endpoints)
    const upTo = (ms: number): number => Math.round(dice.next() * ms)
    switch (dice.between(0, 10)) {
      case 0: {
        const ms = upTo(2 * GRACE_MS)
        this.#say(`${relay.url} killed for ${ms} ms`)
        relay.kill()
        await world.pass(ms)
        return relay.start()
      }
      case 1: {
        const ms = upTo(3 * SILENCE_MS)
        this.#say(`${relay.url} frozen for ${ms} ms`)
        relay.party.stopFor(ms)
        return world.pass(ms)
      }
      case 2: {
        this.#say(`${relay.url} replaced`)
        const { lives } = relay
        relay.drain(50)
        await world.until(() => relay.lives > lives, 12_000)
        return
      }
      case 3:
        this.#say(`links of ${relay.url} reset`)
        for (const { near } of world.connectionsOf(relay)) near.cut()
        return
      case 4:
        this.#say(`links of ${endpoint.address} reset`)
        for (const { near } of endpoint.connections) near.cut()
        return
      case 5: {
        const direction = dice.pick(['both', 'to-target', 'to-client'])
        this.#say(`links of ${endpoint.address} silent, ${direction}`)
        for (const { near, far } of endpoint.connections) {
          if (direction !== 'to-client') near.isSilent = true
          if (direction !== 'to-target') far.isSilent = true
        }
        // Stopped before it has found that, it would be away for longer than silence and grace: that may cost streams.
        return world.pass(SILENCE_MS)
      }
      case 6: {
        const ms = upTo(5_000)
        this.#say(`${endpoint.address} slow for ${ms} ms`)
        const lag = (by: number): void => {
          for (const { near, far } of endpoint.connections) {
            near.lag(by)
            far.lag(by)
          }
        }
        lag(100)
        await world.pass(ms)
        return lag(0)
      }
      case 7: {
        this.#say(`dials refused, links of ${relay.url} reset`)
        for (const each of world.relays.values()) each.refuses = 0.3
        for (const { near } of world.connectionsOf(relay)) near.cut()
        await world.pass(2_000)
        for (const each of world.relays.values()) each.refuses = 0
        return
      }
      case 8: {
        const ms = upTo(2 * SILENCE_MS)
        this.#say(`directory away for ${ms} ms`)
        world.directoryOutage.untilMs = world.clock.now() + ms
        return world.pass(ms)
      }
      case 9: {
        const ms = upTo(10_000)
        this.#say(`${relay.url} cut off from the directory for ${ms} ms`)
        relay.directoryOutage.untilMs = world.clock.now() + ms
        return world.pass(ms)
      }
      default: {
        const ms = upTo(SILENCE_MS + GRACE_MS / 2)
        this.#say(`${endpoint.address} frozen for ${ms} ms`)
        endpoint.party.stopFor(ms)
        return world.pass(ms)
      }
    }
  }
}
