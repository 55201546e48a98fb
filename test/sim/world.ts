/**
 * A whole network in one thread: relays, endpoints and the connections between them, on a clock
 * that the test moves. Faults have names: cut, half-open, silence, stop, crash, restart.
 * Used by tests in test/sim and test/relay.
 */
import { MemoryDirectory } from '../../relay/directory/memory.ts'
import {
  Endpoint,
  type EndpointLimits,
  type IncomingStream,
  type PipeDialer,
} from '../../relay/endpoint/index.ts'
import type { Pipe } from '../../relay/pipe/pipe.ts'
import { defaultRelayLimits, type RelayLimits } from '../../relay/server/limits.ts'
import { RelayMetrics } from '../../relay/server/metrics.ts'
import { RelayNode } from '../../relay/server/node.ts'
import type { Clock } from '../../relay/time/clock.ts'
import type { TrafficClass } from '../../relay/wire/control.ts'
import { RelayError, type ResetReason } from '../../relay/wire/errors.ts'
import { Party } from './party.ts'
import { Dice } from './random.ts'
import { SimClock } from './sim-clock.ts'
import { SimDirectory } from './sim-directory.ts'
import { pipePair, type SimPipe, type Wire } from './sim-pipe.ts'
import { type Script, Talker } from './talker.ts'

export const APP = 'sim'

const defaultWire: Wire = { latencyMs: 1, kernelBytes: 64 * 1024, readBytes: 16 * 1024 }

/** A connection that was made. */
export interface Connection {
  readonly endpoint: SimEndpoint
  readonly relay: SimRelay
  readonly near: SimPipe
  readonly far: SimPipe
}

export class SimRelay {
  readonly url: string
  readonly world: World
  readonly limits: RelayLimits
  party!: Party
  node!: RelayNode
  metrics!: RelayMetrics
  /** Takes no connection, but says nothing either. */
  isSilent = false
  /** Part of the dials that are refused, 0 to 1. */
  refuses = 0
  /** It alone is cut off from the directory. */
  readonly directoryOutage = { untilMs: 0 }
  lives = 0

  constructor(world: World, url: string, limits: Partial<RelayLimits>) {
    this.world = world
    this.url = url
    this.limits = { ...defaultRelayLimits, ...limits }
    this.start()
  }

  get isUp(): boolean {
    return !this.party.isDead
  }

  /** A new process with nothing in its memory. */
  start(): void {
    this.lives += 1
    const name = `${this.url}#${this.lives}`
    this.party = new Party(name, this.world.clock)
    this.metrics = new RelayMetrics()
    this.node = new RelayNode({
      node: name,
      urls: [this.url],
      clock: this.party,
      directory: this.world.directoryFor(this),
      verify: (token) => this.world.verify(token),
      limits: this.limits,
      random: this.world.dice.next,
      metrics: this.metrics,
      log: {
        info: (fields, message) => this.world.note(this.url, message, fields),
        warn: (fields, message) => this.world.note(this.url, message, fields),
        error: (fields, message) => {
          this.world.note(this.url, message, fields)
          this.world.faults.push(
            `${this.url}: ${message} ${JSON.stringify(fields)} ${String((fields as { err?: Error }).err?.stack)}`,
          )
        },
      },
    })
  }

  /** SIGTERM: asks everybody to move; a new process takes its place `downMs` after it has ended. */
  drain(downMs: number): void {
    const { party, node } = this
    const { clock } = this.world
    clock.settlesAlways += 1
    node.drain().then(() => {
      clock.settlesAlways -= 1
      if (this.party !== party || party.isDead) return
      party.isDead = true
      this.world.countCloses(this)
      this.world.clock.after(downMs, () => this.isUp || this.start())
    })
  }

  /** SIGKILL: its kernel closes the connections. */
  kill(): void {
    this.world.note(this.url, 'killed', {})
    this.party.isDead = true
    this.world.countCloses(this)
    for (const { near, far } of this.world.connectionsOf(this)) {
      far.closeEnd(undefined)
      near.closeEnd(new Error('ECONNRESET'))
    }
  }
}

export interface SimEndpointOptions {
  readonly address: string
  readonly class?: TrafficClass
  readonly generation?: number
  readonly incarnation?: string
  readonly role?: 'driver' | 'executor' | 'tool'
  readonly limits?: Partial<EndpointLimits>
  readonly relays?: readonly string[]
  readonly app?: string
}

export class SimEndpoint {
  readonly world: World
  readonly address: string
  readonly incarnation: string
  readonly party: Party
  readonly endpoint: Endpoint
  failure: RelayError | undefined
  isClosed = false

  constructor(world: World, options: SimEndpointOptions) {
    this.world = world
    this.address = options.address
    this.incarnation = options.incarnation ?? world.newIncarnation()
    const { generation = 1, role = 'executor', app = APP } = options
    const trafficClass = options.class ?? 'bulk'
    this.party = new Party(`${options.address}/${this.incarnation.slice(-2)}`, world.clock)
    const dialer: PipeDialer = { dial: (url, signal) => world.dial(this, url, signal) }
    this.endpoint = new Endpoint({
      class: trafficClass,
      address: options.address,
      token: () => {
        world.clock.promiseSettled()
        return JSON.stringify({ app, address: options.address, generation, role })
      },
      incarnation: this.incarnation,
      relays: options.relays ?? [...world.relays.keys()],
      dialer,
      clock: this.party,
      random: world.dice.next,
      events: {
        incoming: (stream) => {
          const handler = app === APP ? world.ports.get(`${options.address}:${stream.port}`) : undefined
          if (app !== APP) world.faults.push(`a stream of ${APP} reached ${app}`)
          if (handler === undefined) stream.reject('refused')
          else handler(this, stream)
        },
        attached: ({ url }) => world.note(this.party.name, `attached at ${url}`, {}),
        detached: (reason) => world.note(this.party.name, `detached: ${reason}`, {}),
        failed: (error) => {
          world.note(this.party.name, `failed: ${error.message}`, {})
          this.failure = error
        },
      },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    world.endpoints.push(this)
    this.endpoint.start()
  }

  get connections(): Connection[] {
    return this.world.connections.filter((c) => c.endpoint === this && !(c.near.isClosed && c.far.isClosed))
  }

  /** The process dies; its kernel closes its connections, unless the machine dies with it. */
  crash(how: 'process' | 'machine' = 'process'): void {
    this.world.note(this.party.name, `crashed (${how})`, {})
    this.party.isDead = true
    for (const { near, far } of this.connections) {
      if (how === 'machine') near.silence()
      near.closeEnd(undefined)
      if (how === 'process') far.closeEnd(new Error('ECONNRESET'))
    }
  }

  close(): void {
    this.endpoint.close().then(() => {
      this.isClosed = true
    })
  }
}

/** Two programs and the stream between them. */
export interface Conversation {
  readonly name: string
  readonly opener: Talker
  readonly openerHost: SimEndpoint
  /** Whoever accepted, newest last: more than one only when the one before died with its process. */
  readonly acceptors: { readonly host: SimEndpoint; readonly talker: Talker }[]
}

export interface WorldOptions {
  readonly seed?: number
  readonly wire?: Partial<Wire>
  readonly relays?: readonly string[]
  readonly relayLimits?: Partial<RelayLimits>
  /** One directory for all relays, that outlives them and takes so long to answer, ms. Absent: one in each relay. */
  readonly directoryLatencyMs?: number
  /** Collect a log. */
  readonly isVerbose?: boolean
}

export class World {
  readonly clock = new SimClock()
  readonly dice: Dice
  readonly relays = new Map<string, SimRelay>()
  readonly endpoints: SimEndpoint[] = []
  readonly connections: Connection[] = []
  readonly conversations: Conversation[] = []
  /** What stands behind `address:port`; absent: refused. */
  readonly ports = new Map<string, (host: SimEndpoint, stream: IncomingStream) => void>()
  /** What must never be. */
  readonly faults: string[] = []
  readonly log: string[] = []
  wire: Wire
  readonly directoryOutage = { untilMs: 0 }
  readonly #shared: MemoryDirectory | undefined
  readonly #directoryLatencyMs: number
  readonly #isVerbose: boolean
  #incarnations = 0
  #ports = 1_000

  constructor(options: WorldOptions = {}) {
    this.dice = new Dice(options.seed ?? 1)
    this.wire = { ...defaultWire, ...options.wire }
    this.#isVerbose = options.isVerbose ?? false
    this.#directoryLatencyMs = options.directoryLatencyMs ?? 0
    if (options.directoryLatencyMs !== undefined)
      this.#shared = this.#directory(new Party('directory', this.clock))
    for (const url of options.relays ?? ['relay-a']) {
      this.relays.set(url, new SimRelay(this, url, options.relayLimits ?? {}))
    }
  }

  directoryFor({ party, directoryOutage }: SimRelay): SimDirectory {
    const inner = this.#shared ?? this.#directory(party)
    const isShared = this.#shared !== undefined
    const outages = [this.directoryOutage, directoryOutage]
    return new SimDirectory(inner, party, this.dice, this.#directoryLatencyMs, isShared, outages)
  }

  #directory(clock: Clock): MemoryDirectory {
    return new MemoryDirectory({ clock, firstEpoch: () => Math.floor(this.clock.now()) })
  }

  get parties(): Party[] {
    return [...this.endpoints, ...this.relays.values()].map(({ party }) => party)
  }

  get relay(): SimRelay {
    return [...this.relays.values()][0] as SimRelay
  }

  endpoint(options: SimEndpointOptions): SimEndpoint {
    return new SimEndpoint(this, options)
  }

  newIncarnation(): string {
    this.#incarnations += 1
    return this.#incarnations.toString(16).padStart(16, '0')
  }

  note(who: string, what: string, fields: object): void {
    if (this.#isVerbose)
      this.log.push(`${this.clock.now().toFixed(1)} ${who} ${what} ${JSON.stringify(fields)}`)
  }

  /** Opens a stream from `from` to `to`; each side does what its script says. */
  talk(from: SimEndpoint, to: string, opens: Script, accepts: Script | 'refuses'): Conversation {
    this.#ports += 1
    const port = this.#ports
    const one = this.dice.between(0, 400_000)
    const other = this.dice.between(0, 400_000)
    const name = `${from.party.name}->${to}:${port}`
    const opener = new Talker(`${name} opener`, from.party, opens, this.dice.between(0, 1e9), one, other)
    const conversation: Conversation = { name, opener, openerHost: from, acceptors: [] }
    if (accepts !== 'refuses') {
      this.ports.set(`${to}:${port}`, (host, stream) => {
        if (stream.peer !== from.address) this.faults.push(`${name} came from ${stream.peer}`)
        if (accepts.acceptsAfterMs === undefined) return accept(host, stream)
        host.party.after(accepts.acceptsAfterMs, () => {
          if (!stream.isOver) accept(host, stream)
        })
      })
      const accept = (host: SimEndpoint, stream: IncomingStream): void => {
        for (const before of conversation.acceptors)
          if (before.host === host) this.faults.push(`${name} was accepted twice by ${host.party.name}`)
        const talker = new Talker(
          `${name} acceptor`,
          host.party,
          accepts,
          this.dice.between(0, 1e9),
          other,
          one,
        )
        conversation.acceptors.push({ host, talker })
        talker.begin(stream.accept(talker))
      }
    }
    this.conversations.push(conversation)
    opener.begin(from.endpoint.open(to, port, opener))
    return conversation
  }

  /** Moves time on. */
  async pass(ms: number): Promise<void> {
    await this.clock.run(this.clock.now() + ms)
  }

  /** Runs until `isDone`, for `atMostMs` at most. Answers whether it came to that. */
  async until(isDone: () => boolean, atMostMs: number): Promise<boolean> {
    if (isDone()) return true
    let done = false
    await this.clock.run(this.clock.now() + atMostMs, () => {
      done = isDone()
      return done
    })
    return done
  }

  async verify(
    token: string,
  ): Promise<{ app: string; address: string; generation: number; role: 'driver' | 'executor' | 'tool' }> {
    this.clock.promiseSettled()
    try {
      return JSON.parse(token)
    } catch {
      throw new RelayError('unauthorized', 'the token is not one of ours')
    }
  }

  dial(endpoint: SimEndpoint, url: string, signal: AbortSignal): Promise<Pipe> {
    const relay = this.relays.get(url)
    const { latencyMs } = this.wire
    this.note(endpoint.party.name, `dials ${url}`, {})
    return new Promise<Pipe>((resolve, reject) => {
      let isOver = false
      signal.addEventListener('abort', () => {
        if (isOver) return
        isOver = true
        this.clock.promiseSettled()
        reject(new Error('aborted'))
      })
      const refuse = (): void => {
        endpoint.party.after(latencyMs, () => {
          if (isOver) return
          isOver = true
          this.clock.promiseSettled()
          reject(new Error('ECONNREFUSED'))
        })
      }
      this.clock.after(latencyMs, () => {
        if (relay === undefined || !relay.isUp) return refuse()
        if (relay.refuses > 0 && this.dice.chance(relay.refuses)) return refuse()
        if (relay.isSilent) return
        const [near, far] = pipePair(
          `${endpoint.party.name}-${url}`,
          endpoint.party,
          relay.party,
          this.wire,
          this.dice,
        )
        this.connections.push({ endpoint, relay, near, far })
        relay.party.after(0, () => {
          relay.node.accept(far, 'sim')
          this.clock.promiseSettled()
        })
        endpoint.party.after(latencyMs, () => {
          if (isOver) return near.destroy()
          isOver = true
          this.clock.promiseSettled()
          resolve(near)
        })
      })
    })
  }

  connectionsOf(relay: SimRelay): Connection[] {
    return this.connections.filter((c) => c.far.party === relay.party && !c.far.isClosed)
  }

  /** Conforming parties never cause these. */
  countCloses(relay: SimRelay): void {
    const { closes, refusals, directoryFailures } = relay.metrics
    for (const code of ['violation', 'internal', 'version'] as const) {
      if (closes[code] > 0) this.faults.push(`${relay.url} closed ${closes[code]} links: ${code}`)
      if (refusals[code] > (code === 'internal' ? directoryFailures : 0))
        this.faults.push(`${relay.url} refused ${refusals[code]} links: ${code}`)
    }
  }
}

export type { ResetReason }
