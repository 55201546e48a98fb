/**
 * What an endpoint is to those who use it: relay/loopback puts sockets on both sides of
 * streams, tests put scripts there. No sockets and no timers in these types.
 */

import type { Pipe } from '../pipe/pipe.ts'
import type { Slab } from '../pipe/slab.ts'
import type { Clock } from '../time/clock.ts'
import type { TrafficClass } from '../wire/control.ts'
import type { RelayError, ResetReason } from '../wire/errors.ts'

/**
 * The local side of a stream: what stands behind it on this machine. The stream calls it;
 * it calls the stream back through `StreamHandle`. After `reset` nothing is called.
 */
export interface LocalSide {
  /** The peer's machine accepted. Only for streams that we opened; bytes may come right after. */
  opened(): void
  /**
   * In-order bytes `start` to `end` of `bytes`, which lie in `slab`. Valid until the call
   * returns unless the slab is retained. Report them by `handle.delivered(n)` once they have
   * left (the kernel has them): credit and acknowledgement follow from that.
   */
  deliver(bytes: Buffer, start: number, end: number, slab: Slab): void
  /** After the last `deliver` of what was read at once, while its slab is still valid. For sides that write it as one. */
  flush?(): void
  /** The peer has finished its half: no more bytes come. The other half goes on. */
  ended(): void
  /** Both halves are over, now. `reason` says why; what was not delivered is lost. */
  reset(reason: ResetReason): void
  /** After `send` returned false: there is room again. */
  writable(): void
  /** Both halves ended cleanly and the peer knows. Nothing is called after. */
  closed(): void
}

/** One stream as its local side sees it. */
export interface StreamHandle {
  /** Virtual address of the other end. */
  readonly peer: string
  /** Virtual port that was dialled. */
  readonly port: number
  readonly class: TrafficClass
  /**
   * Sends bytes `start` to `end` of `slab.bytes`; at least HEADER_BYTES must be free before
   * `start`, which the stream overwrites. Takes over the caller's reference to the slab and keeps
   * the bytes until they are acknowledged. Returns false when the caller should stop reading
   * until `writable()`; the bytes were taken all the same.
   */
  send(slab: Slab, start: number, end: number): boolean
  /** Bytes that `send` may take before it returns false: 0 or more. For sizing reads. */
  readonly sendRoom: number
  /** Our half is finished (half-close). Idempotent. */
  end(): void
  /** Ends both halves now; the peer is told the reason. Idempotent. */
  reset(reason: ResetReason): void
  /** `bytes` more of what was delivered have left for the local program. */
  delivered(bytes: number): void
}

/** A stream that a peer opens to us, before it is accepted. */
export interface IncomingStream {
  readonly peer: string
  readonly port: number
  /** Accepts; `local` gets what comes. Call once, within the open time-out; else `reject`. */
  accept(local: LocalSide): StreamHandle
  reject(reason: ResetReason): void
  /** True once the opener gave up (reset, gone) before we answered. */
  readonly isOver: boolean
}

/** How an endpoint reaches a relay: the rim dials, the core gets a pipe, already through TLS or upgrade. */
export interface PipeDialer {
  /** Settles with a pipe, or rejects. `signal` aborts. Never rejects after it resolved. */
  dial(url: string, signal: AbortSignal): Promise<Pipe>
}

/** What an endpoint tells its owner. */
export interface EndpointEvents {
  /** A peer opens a stream to us. Answer by `accept` or `reject`. */
  incoming(stream: IncomingStream): void
  /** The home link is up (first time or again). */
  attached(info: { readonly url: string; readonly node: string; readonly resumed: number }): void
  /** The home link was lost; streams wait. */
  detached(reason: string): void
  /**
   * A relay could not be reached, or did not take us, for another reason than the last time there. Trying
   * goes on. Absent: nobody wants to know.
   */
  unreached?(url: string, reason: string): void
  /** It is over: refused for good, or no relay for the time-out. All streams were reset. */
  failed(error: RelayError): void
}

/** Options with their bounds; defaults in options.ts. */
export interface EndpointOptions {
  readonly class: TrafficClass
  readonly address: string
  /** Asked before each attach. */
  readonly token: () => string | Promise<string>
  /** 16 hexadecimal digits, one a process: both classes share it. */
  readonly incarnation: string
  readonly relays: readonly string[]
  readonly dialer: PipeDialer
  readonly clock: Clock
  /** 0 to 1; for jitter and choice of relay. Tests seed it. */
  readonly random: () => number
  readonly events: EndpointEvents
  /** Overrides of the defaults in options.ts. */
  readonly limits?: Partial<EndpointLimits>
}

export interface EndpointLimits {
  /** Sum of all credit that is out, bytes; every stream's floor stands outside it. Default 32 MiB; 1 MiB to 4 GiB. */
  readonly receiveBudgetBytes: number
  /** Sum of all that is kept until acknowledged, bytes. Default 32 MiB; 1 MiB to 4 GiB. */
  readonly sendBudgetBytes: number
  /** Credit a stream always has, bytes. Default 16 KiB; 4 KiB to 1 MiB. */
  readonly floorBytes: number
  /** Credit a stream begins with, bytes. Default 256 KiB bulk, 64 KiB urgent. */
  readonly initialWindowBytes: number
  /** Most credit a stream may have, bytes. Default 16 MiB bulk, 1 MiB urgent. */
  readonly maxWindowBytes: number
  /** An acknowledgement waits this long at most, ms. Default 50; 0 to 1,000. */
  readonly ackDelayMs: number
  /** Nothing sent on a link for this long: send a keepalive, ms. Default 2,000. */
  readonly keepaliveMs: number
  /** Nothing came on a link for this long: it is lost, ms (S). Default 6,000. */
  readonly silenceMs: number
  /** No relay found for this long: give up all streams, ms. Default 45,000. */
  readonly noRelayMs: number
  /** An accepted stream without a route waits this long for its opener, ms. Default 60,000. */
  readonly orphanMs: number
  /** An ended stream is remembered this long, ms. Default 60,000; at least `openTimeoutMs` and `silenceMs` together. */
  readonly tombstoneMs: number
  /** From dial to OPENED, ms. Default 30,000. */
  readonly openTimeoutMs: number
  /** Handshake of a link, dial included, ms. Default 5,000. */
  readonly handshakeMs: number
  /** close(): streams get this long to finish, ms. Default 10,000. */
  readonly goodbyeMs: number
  /** First wait before dialling again, ms; doubles with jitter to `maxBackoffMs`. Default 50. */
  readonly minBackoffMs: number
  /** Default 1,000. */
  readonly maxBackoffMs: number
  /** Open streams at most. Default 20,000. */
  readonly maxStreams: number
}

export interface PeerTraffic {
  sentBytes: number
  receivedBytes: number
  streams: number
}

export interface EndpointFigures {
  readonly openStreams: number
  readonly tombstones: number
  /** Credit out beyond what was delivered, bytes. */
  readonly creditOutBytes: number
  /** Kept until acknowledged, bytes. */
  readonly unackedBytes: number
  readonly resumes: number
  readonly replayedBytes: number
  readonly resets: Readonly<Partial<Record<ResetReason, number>>>
  readonly peers: ReadonlyMap<string, Readonly<PeerTraffic>>
}
