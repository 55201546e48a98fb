/**
 * One traffic class of a tunnel: its endpoint, the listeners of its dial ports, and what is
 * served to peers. tunnel.ts runs the urgent lane in the main thread and the bulk lane in a
 * worker thread, so that neither's event loop waits for the other's.
 */
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type {
  EndpointEvents,
  EndpointFigures,
  EndpointLimits,
  IncomingStream,
  LocalSide,
  StreamHandle,
} from '../endpoint/types.ts'
import { SlabPool } from '../pipe/slab.ts'
import type { Clock } from '../time/clock.ts'
import type { CloseReason } from '../wire/index.ts'
import { Gate } from './gate.ts'
import { openJoined } from './join.ts'
import { StreamChannel } from './messages.ts'
import { PerPeerListeners } from './per-peer.ts'
import { Server } from './serve.ts'
import { SocketSide } from './socket-side.ts'
import type { MessageChannel, PeerBytes, ServePort, TrafficClass } from './tunnel-types.ts'
import { type Listeners, listenWildcard } from './wildcard.ts'

/** Virtual port of control streams: handled here, never dialled. */
export const CONTROL_PORT = 1

/**
 * Control streams that one peer may have open here: one, and a second while the first ends. An end that
 * a peer does not answer leaves a stream half open, so more would pile up at whoever asks for them.
 */
const MOST_CONTROLS_OF_A_PEER = 2

/** Plain data: it travels to the worker thread. */
export interface LaneOptions {
  readonly class: TrafficClass
  readonly address: string
  readonly incarnation: string
  readonly relays: readonly string[]
  readonly detours?: Readonly<Record<string, string>>
  readonly tlsCaFile?: string
  /** Dial ports of this class. */
  readonly ports: readonly number[]
  readonly serves: readonly ServePort[]
  readonly listen: 'wildcard' | 'per-peer'
  readonly checkUid: boolean
  readonly maxPeerListeners: number
  readonly limits: Partial<EndpointLimits>
  /** Whether `streamOpened` is to be called. */
  readonly tellsStreams: boolean
}

/** Why a lane is over; plain data, see LaneOptions. */
export interface LaneFailure {
  readonly code: CloseReason
  readonly message: string
}

export interface LaneEvents {
  attached(info: { readonly url: string; readonly node: string; readonly resumed: number }): void
  detached(reason: string): void
  /** Final. */
  failed(failure: LaneFailure): void
  /** A stream that the program beside us dialled was accepted. */
  streamOpened(peer: string, port: number): void
  /** A peer opens a control stream. Undefined: nobody here takes any. */
  readonly control: ((peer: string, channel: MessageChannel) => void) | undefined
}

/** Plain data, see LaneOptions. */
export interface LaneFigures {
  readonly peers: readonly PeerBytes[]
  readonly openStreams: number
  readonly resumes: number
  readonly resets: Readonly<Record<string, number>>
  readonly foreignConnections: number
}

/** A lane as the tunnel sees it, in whichever thread. */
export interface Lane {
  /** Listens, then begins to attach. Throws TunnelError when a listener cannot be had. */
  start(): Promise<void>
  figures(): Promise<LaneFigures>
  retire(address: string, generation: number): void
  /** Stops listening, ends control streams, lets the others finish, says goodbye. Idempotent. */
  close(): Promise<void>
}

/** What of an endpoint a lane uses. Tests bring another. */
export interface LaneEndpoint {
  start(): void
  open(to: string, port: number, local: LocalSide): StreamHandle
  retire(address: string, generation: number): void
  close(): Promise<void>
  figures(): EndpointFigures
}

export interface LaneParts {
  readonly createEndpoint: (events: EndpointEvents) => LaneEndpoint
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
}

const CROWDED_SLAB_BYTES = 64 * 1024
/**
 * Buffers of local reads: urgent ones small for the sake of turns, bulk ones large for cost. With
 * 512 KiB a sender makes a quarter of the reads that it makes with 128 KiB, and takes a quarter less
 * CPU a GiB (0.60 against 0.80 s). Each busy socket has one armed, so many sockets get small ones.
 */
const slabBytes = { urgent: CROWDED_SLAB_BYTES, bulk: 512 * 1024 } as const
/** Local sockets up to which each gets a large buffer: at most 12 MiB of them. */
const FEW_SIDES = 24
/** Unused buffers that are held on to, bytes. */
const KEPT_BYTES = 4 * 1024 * 1024

export class LocalLane implements Lane {
  readonly #options: LaneOptions
  readonly #events: LaneEvents
  readonly #log: Pick<Logger, 'warn'>
  readonly #endpoint: LaneEndpoint
  readonly #gate: Gate
  readonly #server: Server
  readonly #pool: SlabPool
  readonly #crowdedPool: SlabPool
  readonly #sides = new Set<SocketSide>()
  readonly #channels = new Set<StreamChannel>()
  /** Control streams that peers have opened, a count each. */
  readonly #controls = new Map<string, number>()
  #listeners: Listeners | undefined
  #perPeer: PerPeerListeners | undefined
  #isClosing = false

  constructor(options: LaneOptions, events: LaneEvents, parts: LaneParts) {
    this.#options = options
    this.#events = events
    this.#log = parts.log
    const bytes = slabBytes[options.class]
    this.#pool = new SlabPool(bytes, KEPT_BYTES / bytes)
    this.#crowdedPool =
      bytes === CROWDED_SLAB_BYTES
        ? this.#pool
        : new SlabPool(CROWDED_SLAB_BYTES, KEPT_BYTES / CROWDED_SLAB_BYTES)
    this.#gate = new Gate({
      checkUid: options.checkUid,
      onConnection: (socket, peer, port) => this.#handleConnection(socket, peer, port),
      log: parts.log,
    })
    this.#server = new Server({
      serves: options.serves,
      own: options.address,
      pool: () => this.#poolForOneMore(),
      clock: parts.clock,
      sides: this.#sides,
    })
    this.#endpoint = parts.createEndpoint({
      incoming: (stream) => this.#handleIncoming(stream),
      attached: (info) => events.attached(info),
      detached: (reason) => events.detached(reason),
      unreached: (relay, reason) =>
        this.#log.warn({ class: options.class, relay, reason }, 'this relay is not reached; trying goes on'),
      failed: ({ code, message }) => events.failed({ code, message }),
    })
  }

  async start(): Promise<void> {
    await this.#listen()
    if (this.#isClosing) this.#listeners?.close()
    else this.#endpoint.start()
  }

  async figures(): Promise<LaneFigures> {
    const { peers, openStreams, resumes, resets } = this.#endpoint.figures()
    return {
      peers: [...peers].map(([peer, traffic]) => ({ peer, ...traffic })),
      openStreams,
      resumes,
      resets: { ...resets },
      foreignConnections: this.#gate.foreignConnections,
    }
  }

  retire(address: string, generation: number): void {
    this.#endpoint.retire(address, generation)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#listeners?.close()
    // Nobody will use them any more, and the goodbye waits for every open stream.
    for (const channel of this.#channels) channel.close()
    await this.#endpoint.close()
    // Streams are over; a local program that still holds its end will not close it for us.
    for (const side of this.#sides) side.socket.destroy()
  }

  /** A control stream to `address`. Urgent lane only. */
  openControl(address: string): MessageChannel {
    const channel = this.#channel(address)
    channel.bind(this.#open(address, CONTROL_PORT, channel), false)
    return channel
  }

  #poolForOneMore(): SlabPool {
    return this.#sides.size < FEW_SIDES ? this.#pool : this.#crowdedPool
  }

  #channel(peer: string, onOver: () => void = () => {}): StreamChannel {
    const channel = new StreamChannel(peer, () => {
      this.#channels.delete(channel)
      onOver()
    })
    this.#channels.add(channel)
    return channel
  }

  async #listen(): Promise<void> {
    const { ports, listen, address: own, maxPeerListeners: cap } = this.#options
    if (listen === 'wildcard') {
      this.#listeners = await listenWildcard(this.#gate, ports)
    } else {
      this.#perPeer = await PerPeerListeners.open({ gate: this.#gate, ports, own, cap, log: this.#log })
      this.#listeners = this.#perPeer
    }
  }

  #handleConnection(socket: Socket, peer: string, port: number): void {
    const { streamOpened } = this.#events
    const onOpened = this.#options.tellsStreams ? () => streamOpened(peer, port) : undefined
    const side = SocketSide.accepted(socket, this.#poolForOneMore(), onOpened)
    this.#sides.add(side)
    side.socket.once('close', () => this.#sides.delete(side))
    if (this.#isClosing) side.reset('shutdown')
    else side.bind(this.#open(peer, port, side))
  }

  /** Own address: joined here, for a relay would have to send it back to us. */
  #open(to: string, port: number, local: LocalSide): StreamHandle {
    const { address, class: trafficClass } = this.#options
    if (to !== address) return this.#endpoint.open(to, port, local)
    return openJoined(address, to, port, trafficClass, local, (stream) => this.#handleIncoming(stream))
  }

  #handleIncoming(stream: IncomingStream): void {
    void this.#perPeer?.ensure(stream.peer)
    if (stream.port !== CONTROL_PORT) {
      this.#server.handleIncoming(stream)
      return
    }
    const { control } = this.#events
    if (control === undefined) {
      stream.reject('forbidden')
      return
    }
    const { peer } = stream
    const open = this.#controls.get(peer) ?? 0
    if (open >= MOST_CONTROLS_OF_A_PEER) {
      stream.reject('overloaded')
      return
    }
    this.#controls.set(peer, open + 1)
    const channel = this.#channel(peer, () => this.#forgetControl(peer))
    channel.bind(stream.accept(channel), true)
    control(peer, channel)
  }

  #forgetControl(peer: string): void {
    const left = (this.#controls.get(peer) ?? 0) - 1
    if (left > 0) this.#controls.set(peer, left)
    else this.#controls.delete(peer)
  }
}
