/**
 * The public shape of a tunnel: one virtual address on the relay, with its local listeners,
 * its dials to local servers, and its control streams. Used by executor-shim, driver-agent
 * and `exec`; implemented by tunnel.ts.
 */
import type { Logger } from 'pino'

/** urgent: driver RPC, control. bulk: blocks. Every stream has one, chosen by its port. */
export type TrafficClass = 'urgent' | 'bulk'

/** Where the JWT of this address comes from; asked again on every attach. */
export type TokenSource = () => string | Promise<string>

export interface DialPort {
  /** TCP port; the process beside us dials 127.64.x.y:port and is tunnelled to that address. 1 to 65535. */
  readonly port: number
  readonly class: TrafficClass
}

export interface ServePort {
  /** Virtual port that others dial. 1 to 65535. */
  readonly port: number
  /** Where it is delivered. Default `[::1]:port`. */
  readonly target?: { readonly host: string; readonly port: number }
}

export interface TunnelOptions {
  /** Application: the world in which addresses meet. Must equal the token's. */
  readonly app: string
  /** Virtual address, 127.64.0.0/10. Must equal the token's. */
  readonly address: string
  readonly token: TokenSource
  /** Relay URLs to try, any order: `tcp://h:p`, `tls://h:p`, `ws://h:p`, `wss://h:p`, `unix:/path`. At least one. */
  readonly relays: readonly string[]
  /** Relays that are reached at another URL than their own: see PipeDialerOptions. */
  readonly detours?: Readonly<Record<string, string>>
  /** PEM file of a private CA for tls/wss. */
  readonly tlsCaFile?: string
  readonly dials: readonly DialPort[]
  readonly serves: readonly ServePort[]
  /** Without `::1` on this machine: listeners per peer instead of one wildcard listener. Default: found out. */
  readonly listen?: 'wildcard' | 'per-peer'
  /**
   * Turn away connections to a listener from programs of other users (Linux). Costs 2 to 4 ms a
   * connection before its stream opens. Default: true where this network namespace has more than
   * loopback, for then it is the machine's and not ours.
   */
  readonly checkUid?: boolean
  /** `per-peer`: listeners at most, one for each peer and dial port; a descriptor each. Default 256. */
  readonly maxPeerListeners?: number
  /** Bulk streams get a worker thread of their own. Default true. */
  readonly bulkThread?: boolean
  /** Called for every control stream that a peer opens to this address. */
  readonly onControl?: (peer: string, channel: MessageChannel) => void
  /** Called when a stream that the process beside us dialled was accepted by `peer`. Called for every one: keep it cheap. */
  readonly onStream?: (peer: string, port: number) => void
  /** Overrides of EndpointOptions (budgets, silence, grace …), both classes. */
  readonly endpoint?: Record<string, number>
  readonly logger: Logger
}

/** Bytes that went between this address and one peer since the start, both classes and directions. */
export interface PeerBytes {
  readonly peer: string
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly streams: number
}

export interface TunnelStats {
  readonly peers: readonly PeerBytes[]
  readonly openStreams: number
  readonly resumes: number
  /** Connections to a wildcard listener that were closed: not loopback, or not a virtual address. */
  readonly foreignConnections: number
  readonly resets: Readonly<Record<string, number>>
}

export interface Tunnel {
  /** Both classes are attached (also again after a loss). */
  readonly attached: boolean
  /** Settles at the first final failure (refused token, no relay for 45 s …) or with undefined after close(). */
  readonly ended: Promise<Error | undefined>
  /** Opens a control stream to `address`. Messages sent before it is open are kept. */
  openControl(address: string): MessageChannel
  stats(): Promise<TunnelStats>
  /** Agent only: the address is over (its function ended); relays tell its peers at once. */
  retire(address: string, generation: number): void
  /** Finishes streams (at most 10 s), says goodbye, closes listeners. */
  close(): Promise<void>
}

/** A stream that carries whole messages (msgpackr, 4-byte length before each, at most 1 MiB). Survives links. */
export interface MessageChannel {
  readonly peer: string
  send(message: unknown): void
  onMessage(handler: (message: unknown) => void): void
  /** Called once: undefined after a clean end by the peer, else why. */
  onEnd(handler: (error: Error | undefined) => void): void
  /** Sends what is queued, then ends. */
  close(): void
}
