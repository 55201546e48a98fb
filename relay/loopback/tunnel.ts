/**
 * A tunnel: one virtual address on the relay, for a program beside us that knows nothing of
 * it. Two lanes, one a class, share address and incarnation. The public face of this room for
 * executor-shim, driver-agent and `exec`.
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { endpointBounds } from '../endpoint/index.ts'
import type { EndpointLimits } from '../endpoint/types.ts'
import { caOf } from '../pipe/dial-error.ts'
import { closeReasons } from '../wire/index.ts'
import { hasIpv6Loopback, isLoopbackOnly, isVirtualAddress } from './address.ts'
import { BulkThread } from './bulk-thread.ts'
import { createLane } from './create-lane.ts'
import { TunnelError } from './errors.ts'
import {
  CONTROL_PORT,
  type Lane,
  type LaneEvents,
  type LaneFailure,
  type LaneOptions,
  type LocalLane,
} from './lane.ts'
import { sumFigures } from './stats.ts'
import { assertTokenIsFor } from './token-check.ts'
import type { MessageChannel, TrafficClass, Tunnel, TunnelOptions, TunnelStats } from './tunnel-types.ts'

/** Listeners at most where there is no ::1; beside them a function needs descriptors for its connections (Lambda: 1,024). */
const DEFAULT_PEER_LISTENERS = 256

/**
 * Listens, attaches both classes, and resolves when both are attached. Rejects with
 * TunnelError: wrong options, a port in use, refused by the relay, no relay reached for
 * `noRelayMs` (default 45 s).
 */
export async function startTunnel(options: TunnelOptions): Promise<Tunnel> {
  const tunnel = new TwoLaneTunnel(options)
  await tunnel.start()
  return tunnel
}

type TunnelState =
  | { readonly is: 'starting' }
  | { readonly is: 'running' }
  | { readonly is: 'closing'; readonly done: Promise<void> }
  | { readonly is: 'failed'; readonly error: TunnelError }

class TwoLaneTunnel implements Tunnel {
  readonly ended: Promise<Error | undefined>
  readonly #log: Logger
  readonly #urgent: LocalLane
  readonly #bulk: Lane
  readonly #attached: Record<TrafficClass, boolean> = { urgent: false, bulk: false }
  readonly #bothAttached = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<Error | undefined>()
  #state: TunnelState = { is: 'starting' }

  constructor(options: TunnelOptions) {
    assertOptions(options)
    this.#log = options.logger
    this.ended = this.#ended.promise
    this.#bothAttached.promise.catch(() => {}) // asked for only while starting
    const incarnation = randomBytes(8).toString('hex')
    const { onControl } = options
    const token = (): Promise<string> => this.#checkedToken(options)
    this.#urgent = createLane(
      laneOptions(options, 'urgent', incarnation),
      token,
      this.#laneEvents('urgent', options, onControl),
      this.#log.child({ class: 'urgent' }),
    )
    const bulk = laneOptions(options, 'bulk', incarnation)
    const bulkEvents = this.#laneEvents('bulk', options, undefined)
    const bulkLog = this.#log.child({ class: 'bulk' })
    this.#bulk =
      options.bulkThread === false
        ? createLane(bulk, token, bulkEvents, bulkLog)
        : new BulkThread(bulk, token, bulkEvents, bulkLog)
  }

  async start(): Promise<void> {
    try {
      await Promise.all([this.#urgent.start(), this.#bulk.start()])
      await this.#bothAttached.promise
      if (this.#state.is === 'starting') this.#state = { is: 'running' }
    } catch (error) {
      await this.close()
      throw error
    }
  }

  get attached(): boolean {
    return this.#attached.urgent && this.#attached.bulk
  }

  openControl(address: string): MessageChannel {
    return this.#urgent.openControl(address)
  }

  async stats(): Promise<TunnelStats> {
    return sumFigures(await Promise.all([this.#urgent.figures(), this.#bulk.figures()]))
  }

  retire(address: string, generation: number): void {
    // Each class has a home of its own, maybe at two relays: both must know.
    this.#urgent.retire(address, generation)
    this.#bulk.retire(address, generation)
  }

  close(): Promise<void> {
    if (this.#state.is === 'closing') return this.#state.done
    const done = this.#closeLanes()
    if (this.#state.is !== 'failed') this.#state = { is: 'closing', done }
    return done
  }

  async #closeLanes(): Promise<void> {
    // While no relay is there, nothing else keeps the process alive: timers of the core do not, and a
    // local socket that has heard the end does not either.
    const alive = setInterval(() => {}, 2 ** 30)
    try {
      await Promise.all([this.#urgent.close(), this.#bulk.close()])
    } finally {
      clearInterval(alive)
    }
    this.#attached.urgent = false
    this.#attached.bulk = false
    this.#ended.resolve(undefined) // does nothing after a failure
  }

  #laneEvents(
    trafficClass: TrafficClass,
    options: TunnelOptions,
    control: LaneEvents['control'],
  ): LaneEvents {
    return {
      attached: ({ url, node, resumed }) => {
        this.#attached[trafficClass] = true
        this.#log.info({ class: trafficClass, url, node, resumed }, 'attached')
        if (this.attached) this.#bothAttached.resolve()
      },
      detached: (reason) => {
        this.#attached[trafficClass] = false
        if (this.#state.is !== 'closing') this.#log.warn({ class: trafficClass, reason }, 'link lost')
      },
      failed: (failure) => {
        this.#attached[trafficClass] = false
        this.#fail(tunnelError(failure))
      },
      streamOpened: (peer, port) => options.onStream?.(peer, port),
      control,
    }
  }

  /** A token for someone else is final: without this, an endpoint would go on trying for 45 s. */
  async #checkedToken(options: TunnelOptions): Promise<string> {
    const token = await options.token()
    try {
      assertTokenIsFor(token, options)
    } catch (error) {
      if (error instanceof TunnelError) this.#fail(error)
      throw error
    }
    return token
  }

  /** One class is no use without the other: the first failure ends both. */
  #fail(error: TunnelError): void {
    if (this.#state.is === 'closing' || this.#state.is === 'failed') return
    const wasRunning = this.#state.is === 'running'
    this.#state = { is: 'failed', error }
    this.#log.error({ code: error.code, reason: error.message }, 'tunnel over')
    this.#bothAttached.reject(error)
    this.#ended.resolve(error)
    if (wasRunning) void this.close()
  }
}

const NOT_OUR_KEY =
  '; the key that signed its token must be one of the relay’s: compare --secret-file, or what --token-file was signed by'

/** What a lane's failure is to those who started the tunnel. Pure. */
function tunnelError({ code, message }: LaneFailure): TunnelError {
  const sentence = message.replace(`${code}: `, '')
  if (code === 'timeout') return new TunnelError('no-relay', sentence)
  const isFinal = closeReasons[code].retry === 'never'
  return new TunnelError(
    isFinal ? 'refused' : 'internal',
    `the relay refused this address for good (${message})${code === 'unauthorized' ? NOT_OUR_KEY : ''}`,
  )
}

/** Throws TunnelError `usage`. The command line has checked already; other callers have not. */
function assertOptions({ address, relays, dials, serves, tlsCaFile, endpoint = {} }: TunnelOptions): void {
  const assert = (isGood: boolean, sentence: string): void => {
    if (!isGood) throw new TunnelError('usage', sentence)
  }
  assert(isVirtualAddress(address), `${address} is no virtual address: must lie in 127.64.0.0/10`)
  assert(relays.length > 0, 'no relay was named: at least one URL is needed')
  try {
    // Read again at every dial; a wrong name must not look like a relay that is away.
    caOf({ ...(tlsCaFile === undefined ? {} : { tlsCaFile }) })
  } catch (cause) {
    throw new TunnelError('usage', (cause as Error).message, { cause })
  }
  for (const { port } of [...dials, ...serves]) {
    assert(Number.isInteger(port) && port >= 1 && port <= 65_535, `${port} is no port: must be 1 to 65535`)
    assert(port !== CONTROL_PORT, `port ${CONTROL_PORT} is reserved for control streams: choose another`)
  }
  for (const { port, class: trafficClass } of dials) {
    const isTwice = dials.some((other) => other.port === port && other.class !== trafficClass)
    assert(!isTwice, `port ${port} is dialled as urgent and as bulk: choose one`)
  }
  for (const [name, value] of Object.entries(endpoint)) {
    const bounds = endpointBounds[name as keyof typeof endpointBounds]
    assert(bounds !== undefined, `${name} is no limit of an endpoint`)
    const [, least, most] = bounds
    assert(value >= least && value <= most, `${name} is ${value}: must be ${least} to ${most}`)
  }
}

function laneOptions(options: TunnelOptions, trafficClass: TrafficClass, incarnation: string): LaneOptions {
  const ports = options.dials.filter((dial) => dial.class === trafficClass).map(({ port }) => port)
  return {
    class: trafficClass,
    address: options.address,
    incarnation,
    relays: options.relays,
    ...(options.detours === undefined ? {} : { detours: options.detours }),
    ...(options.tlsCaFile === undefined ? {} : { tlsCaFile: options.tlsCaFile }),
    ports: [...new Set(ports)],
    serves: options.serves,
    listen: options.listen ?? (hasIpv6Loopback() ? 'wildcard' : 'per-peer'),
    checkUid: options.checkUid ?? !isLoopbackOnly(),
    // Shared by the two lanes, by the ports that each has.
    maxPeerListeners: Math.floor(
      ((options.maxPeerListeners ?? DEFAULT_PEER_LISTENERS) * new Set(ports).size) /
        Math.max(1, new Set(options.dials.map(({ port }) => port)).size),
    ),
    limits: (options.endpoint ?? {}) as Partial<EndpointLimits>,
    tellsStreams: options.onStream !== undefined,
  }
}
