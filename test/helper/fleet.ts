/**
 * Several relay processes on one real redis-server, endpoints in this process, and streams of
 * checked bytes between them. What a test breaks, it breaks by name: kill, hang, replace, cut off.
 */
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Endpoint, type EndpointLimits, type IncomingStream } from '../../relay/endpoint/index.ts'
import type { PipeDialer } from '../../relay/endpoint/types.ts'
import { createPipeDialer } from '../../relay/pipe/dial.ts'
import { systemClock } from '../../relay/time/clock.ts'
import { expiryIn, generateKeyLine, parseKeys, type SigningKey, signToken } from '../../relay/token/index.ts'
import type { TrafficClass } from '../../relay/wire/control.ts'
import type { RelayError } from '../../relay/wire/errors.ts'
import { StandstillWatch } from '../faults/standstill.ts'
import { CheckedEnd, type Received } from './checked-stream.ts'
import { eventually, RedisServer } from './redis.ts'
import { type RelayProcess, spawnRelay } from './relay-process.ts'

const APP = 'fleet'
const quickArgs = ['--silence', '2s', '--keepalive', '500ms', '--grace', '2s'] as const

export interface FleetOptions {
  readonly relays?: number
  /** Beside --listen and --redis. */
  readonly args?: readonly string[]
  /** Silence 2 s, grace 2 s and so leases of 5 s, where those times are not what is tested. */
  readonly isQuick?: boolean
  /** Default: a redis-server of its own. */
  readonly redisUrl?: string
}

/** The way of one relay to Redis, which a test can cut. */
class RedisPath {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()
  #isCut = false

  private constructor(server: net.Server) {
    this.#server = server
  }

  static async to(port: number): Promise<RedisPath> {
    const server = net.createServer()
    const path = new RedisPath(server)
    server.on('connection', (near) => path.#join(near, port))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return path
  }
  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  #join(near: net.Socket, port: number): void {
    if (this.#isCut) {
      near.destroy()
      return
    }
    const far = net.connect(port, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.pipe(other)
      one
        .on('error', () => {})
        .on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
    }
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }
  mend(): void {
    this.#isCut = false
  }
  close(): void {
    this.cut()
    this.#server.close()
  }
}

export class FleetRelay {
  readonly index: number
  url = ''
  process!: RelayProcess
  readonly path: RedisPath | undefined
  readonly #start: (port: number) => RelayProcess

  constructor(index: number, path: RedisPath | undefined, start: (port: number) => RelayProcess) {
    this.index = index
    this.path = path
    this.#start = start
  }

  get port(): number {
    return Number(this.url.split(':').at(-1) ?? 0)
  }

  /** A new process on the port of the one before. Settles when it is ready. */
  async start(): Promise<void> {
    this.process = this.#start(this.url === '' ? 0 : this.port)
    const [url] = await this.process.listening
    this.url = url as string
  }

  async kill(): Promise<void> {
    this.process.child.kill('SIGKILL')
    await this.process.ended
  }
  hang(): void {
    this.process.child.kill('SIGSTOP')
  }
  goOn(): void {
    this.process.child.kill('SIGCONT')
  }
  /** SIGTERM. Answers how long it took to end, ms, and its exit code. */
  async leave(): Promise<{ ms: number; code: number | null }> {
    const began = performance.now()
    this.process.child.kill('SIGTERM')
    const { code } = await this.process.ended
    return { ms: performance.now() - began, code }
  }

  /** Sum of all samples of a metric whose labels hold `labels`. */
  async figure(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text()
    let sum = 0
    for (const line of text.split('\n')) {
      if (line.startsWith(name) && !line.startsWith('#') && line.includes(labels))
        sum += Number(line.split(' ').at(-1))
    }
    return sum
  }
  async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.port}/readyz`)).status === 200
  }
}

export class FleetEndpoint {
  readonly address: string
  readonly endpoint: Endpoint
  /** Nodes that it was attached to, one entry an attachment. */
  readonly homes: string[] = []
  readonly detachments: string[] = []
  failure: RelayError | undefined

  constructor(fleet: Fleet, address: string, options: EndpointSpec) {
    this.address = address
    const { generation = 0, role = 'executor' } = options
    this.endpoint = new Endpoint({
      class: options.class ?? 'bulk',
      address,
      token: () =>
        signToken(fleet.key, { app: APP, addr: address, gen: generation, role, exp: expiryIn(3_600_000) }),
      incarnation: options.incarnation ?? randomBytes(8).toString('hex'),
      relays: options.relays ?? fleet.urls,
      dialer: options.dialer ?? fleet.dialer,
      clock: systemClock,
      random: Math.random,
      events: {
        incoming: (stream) => fleet.accept(address, stream),
        attached: ({ node }) => this.homes.push(node),
        detached: (reason) => this.detachments.push(reason),
        failed: (error) => {
          this.failure = error
        },
      },
      limits: { ...fleet.endpointLimits, ...options.limits },
    })
    this.endpoint.start()
  }

  get isAttached(): boolean {
    return this.endpoint.state === 'attached'
  }
  /** Where its home is now. */
  get home(): string | undefined {
    return this.homes.at(-1)
  }
}

interface EndpointSpec {
  readonly class?: TrafficClass
  readonly generation?: number
  readonly role?: 'driver' | 'executor' | 'tool'
  readonly incarnation?: string
  readonly relays?: readonly string[]
  readonly limits?: Partial<EndpointLimits>
  readonly dialer?: PipeDialer
}

/** Both ends of one checked stream. */
export class CheckedStream {
  readonly opener: CheckedEnd
  readonly acceptor: CheckedEnd

  constructor(opener: CheckedEnd, acceptor: CheckedEnd) {
    this.opener = opener
    this.acceptor = acceptor
  }

  get longestStallMs(): number {
    return Math.max(this.opener.received.longestStallMs, this.acceptor.received.longestStallMs)
  }
  restartStall(): void {
    this.opener.restartStall()
    this.acceptor.restartStall()
  }

  /** Ends both directions. Throws unless every byte came, once, in order. */
  async finish(ms = 30_000): Promise<{ bytes: number; longestStallMs: number }> {
    this.opener.finish()
    this.acceptor.finish()
    const over = Promise.all([this.opener.over, this.acceptor.over]).then(() => true)
    if (!(await Promise.race([over, sleep(ms, false, { ref: false })])))
      throw new Error(`${this.opener.name} did not end within ${ms} ms`)
    const there = checkDirection(this.opener, this.acceptor)
    const back = checkDirection(this.acceptor, this.opener)
    return { bytes: there.bytes + back.bytes, longestStallMs: this.longestStallMs }
  }
}

function checkDirection(from: CheckedEnd, to: CheckedEnd): Received {
  const { received } = to
  if (to.state !== 'closed') throw new Error(`${to.name} was reset: ${to.resetReason}`)
  if (to.wrongAt !== undefined) throw new Error(`${to.name} got a wrong byte at ${to.wrongAt}`)
  if (received.bytes !== from.sentBytes)
    throw new Error(`${to.name} got ${received.bytes} of ${from.sentBytes} bytes`)
  if (received.sha256 !== from.sentSha256) throw new Error(`${to.name} got other bytes`)
  return received
}

export class Fleet {
  readonly key: SigningKey
  readonly relays: FleetRelay[] = []
  readonly endpoints: FleetEndpoint[] = []
  readonly streams: CheckedStream[] = []
  readonly dialer = createPipeDialer({})
  redis: RedisServer | undefined
  readonly #paths: RedisPath[] = []
  readonly #standstill = new StandstillWatch()
  readonly #awaited = new Map<string, CheckedEnd>()
  readonly #keyLine: string
  readonly #isQuick: boolean
  #nextPort = 10_000
  #nextAddress = 2

  private constructor(isQuick: boolean) {
    this.#isQuick = isQuick
    this.#keyLine = generateKeyLine('fleet', '*')
    this.key = parseKeys(this.#keyLine, 'fleet')[0] as SigningKey
  }

  static async start(options: FleetOptions = {}): Promise<Fleet> {
    const fleet = new Fleet(options.isQuick ?? false)
    if (options.redisUrl === undefined) fleet.redis = await RedisServer.start()
    const relays = Array.from({ length: options.relays ?? 3 }, (_, i) => fleet.#relay(i, options))
    fleet.relays.push(...(await Promise.all(relays)))
    await Promise.all(fleet.relays.map((relay) => relay.start()))
    await fleet.#acquainted()
    return fleet
  }

  /** One more relay. `fails`: it is not waited for. */
  async addRelay(
    options: { readonly args?: readonly string[]; readonly listen?: string; readonly fails?: boolean } = {},
  ): Promise<FleetRelay> {
    const relay = await this.#relay(this.relays.length, options, options.listen)
    this.relays.push(relay)
    const started = relay.start()
    if (options.fails === true) {
      started.catch(() => {})
      return relay
    }
    await started
    await this.#acquainted()
    return relay
  }

  /** Relays know of each other when each has heard all, once a second. */
  async #acquainted(): Promise<void> {
    const running = this.relays.filter(
      ({ url, process: { child } }) =>
        url.startsWith('tcp:') && child.exitCode === null && child.signalCode === null,
    )
    const beats = (): Promise<number[]> =>
      Promise.all(running.map((one) => one.figure('slr_relay_directory_commands_total', 'command="beat"')))
    const before = await beats()
    await sleep(1_100)
    await eventually('the relays know of each other', async () =>
      (await beats()).every((count, at) => count > (before[at] ?? 0)),
    )
  }

  async #relay(index: number, options: FleetOptions, listen?: string): Promise<FleetRelay> {
    let path: RedisPath | undefined
    if (this.redis !== undefined) {
      path = await RedisPath.to(this.redis.port)
      this.#paths.push(path)
    }
    const redis = options.redisUrl ?? `redis://127.0.0.1:${path?.port}`
    return new FleetRelay(index, path, (port) =>
      spawnRelay(
        [
          ...(this.#isQuick ? quickArgs : []),
          '--listen',
          listen ?? `127.0.0.1:${port}`,
          '--redis',
          redis,
          '--log-level',
          'info',
          ...(options.args ?? []),
        ],
        { SLR_SECRET: this.#keyLine },
      ),
    )
  }

  get endpointLimits(): Partial<EndpointLimits> {
    return this.#isQuick ? { silenceMs: 2_000, keepaliveMs: 500 } : {}
  }

  get urls(): string[] {
    return this.relays.map((relay) => relay.url)
  }

  /** The relay that an endpoint has its home at. */
  async homeOf(endpoint: FleetEndpoint): Promise<FleetRelay> {
    const home = endpoint.home
    const found = this.relays.find(
      (relay) => home !== undefined && relay.process.output.stderr.includes(home),
    )
    if (found === undefined) throw new Error(`${endpoint.address} is at home nowhere`)
    return found
  }

  endpoint(options: EndpointSpec & { readonly address?: string } = {}): FleetEndpoint {
    const n = this.#nextAddress++
    const address = options.address ?? `127.64.${n >> 8}.${n & 255}`
    const made = new FleetEndpoint(this, address, options)
    this.endpoints.push(made)
    return made
  }

  /** So many endpoints, attached. */
  async attached(count: number, options: EndpointSpec = {}, ms = 15_000): Promise<FleetEndpoint[]> {
    const made = Array.from({ length: count }, () => this.endpoint(options))
    await eventually(`${count} endpoints are attached`, () => made.every((one) => one.isAttached), ms)
    return made
  }

  /** A stream between two endpoints that both send at `bytesPerSecond`. Settles when bytes have come at both ends. */
  async stream(from: FleetEndpoint, to: FleetEndpoint, bytesPerSecond = 500_000): Promise<CheckedStream> {
    const stream = this.openStream(from, to, bytesPerSecond)
    await eventually(`bytes flow from ${from.address} to ${to.address}`, () => {
      return stream.opener.received.bytes > 0 && stream.acceptor.received.bytes > 0
    })
    return stream
  }

  openStream(from: FleetEndpoint, to: FleetEndpoint, bytesPerSecond = 500_000): CheckedStream {
    const port = this.#nextPort++
    const name = `${from.address}->${to.address}:${port}`
    const opener = new CheckedEnd(`${name} opener`, 'there', 'back', bytesPerSecond)
    const acceptor = new CheckedEnd(`${name} acceptor`, 'back', 'there', bytesPerSecond)
    this.#awaited.set(`${to.address}:${port}`, acceptor)
    opener.begin(from.endpoint.open(to.address, port, opener))
    const stream = new CheckedStream(opener, acceptor)
    this.streams.push(stream)
    return stream
  }

  accept(address: string, stream: IncomingStream): void {
    const acceptor = this.#awaited.get(`${address}:${stream.port}`)
    if (acceptor === undefined) return stream.reject('refused')
    acceptor.begin(stream.accept(acceptor))
    acceptor.opened()
  }

  /** One stream each way between neighbours of a ring: every endpoint opens one and accepts one. */
  async ring(endpoints: readonly FleetEndpoint[], bytesPerSecond?: number): Promise<CheckedStream[]> {
    return await Promise.all(
      endpoints.map((from, i) =>
        this.stream(from, endpoints[(i + 1) % endpoints.length] as FleetEndpoint, bytesPerSecond),
      ),
    )
  }

  /** For how long this process, in which the endpoints live, got no turn: so much of a stall is none of theirs. ms. */
  get standstillMs(): number {
    return this.#standstill.longestMs
  }

  async stop(): Promise<void> {
    this.#standstill.stop()
    for (const stream of this.streams) {
      stream.opener.reset('shutdown')
      stream.acceptor.reset('shutdown')
    }
    for (const { endpoint } of this.endpoints) endpoint.abandon()
    for (const relay of this.relays) {
      relay.goOn()
      await relay.kill()
    }
    for (const path of this.#paths) path.close()
    this.redis?.goOn()
    await this.redis?.stop()
  }
}

/** Ends all streams, checks all bytes; the longest pause of any. */
export async function finishAll(streams: readonly CheckedStream[]): Promise<number> {
  const ends = await Promise.all(streams.map((stream) => stream.finish()))
  return Math.max(...ends.map((end) => end.longestStallMs))
}
