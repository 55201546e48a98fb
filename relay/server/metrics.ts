/**
 * What a relay counts. Plain numbers, so that the hot path pays one addition; they become
 * Prometheus metrics only when someone scrapes (prometheus.ts). Every reason of a closed list
 * has its counter from the start. Written by the forwarding core and the listeners.
 */
import type { TrafficClass } from '../wire/control.ts'
import { type CloseReason, closeReasons, type ResetReason, resetReasons } from '../wire/errors.ts'

/** `attached`: home link. `visiting`: only opens streams here. */
export type LinkState = 'attached' | 'visiting'

/** Why a connection was closed before it became a link or an HTTP request. */
export const sniffFailures = [
  /** First bytes are neither preamble, TLS nor HTTP. */
  'garbage',
  /** Not told apart, or not through TLS, HTTP headers or upgrade, within the handshake time. */
  'slow',
  /** TLS handshake failed, or ALPN named nothing that we speak. */
  'tls',
  /** A plain connection where TLS is demanded. */
  'plain',
  /** TLS where no certificate is configured. */
  'no-certificate',
  /** HTTP request that is malformed or has headers over the limit. */
  'http',
  /** Closed by the other side before it was told apart. */
  'closed',
  /** Too many unauthenticated connections in all. */
  'too-many',
  /** Too many unauthenticated connections of one remote. */
  'too-many-remote',
] as const
export type SniffFailure = (typeof sniffFailures)[number]

/** Why a relay sent an endpoint that wanted to attach to another relay. */
export const placementReasons = [
  /** The other has clearly more room. */
  'load',
  /** This relay is not for that class. */
  'class',
  /** This relay has all the links that it may have. */
  'full',
  /** This relay is leaving. */
  'draining',
] as const
export type PlacementReason = (typeof placementReasons)[number]

/** Why a relay asked its endpoints to move. */
export const goAwayReasons = ['draining', 'cut-off'] as const
export type GoAwayReason = (typeof goAwayReasons)[number]

export type PerClass = Record<TrafficClass, number>

function perClass(): PerClass {
  return { urgent: 0, bulk: 0 }
}

function zeroed<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>
}

const closeReasonNames = Object.keys(closeReasons) as CloseReason[]
const resetReasonNames = Object.keys(resetReasons) as ResetReason[]

/** One relay process's figures. Counters only grow; gauges say so. */
export class RelayMetrics {
  /** Gauge: accepted connections that have not said who they are, sniffing and TLS included. */
  unauthenticated = 0
  /** Connections accepted by the listeners. */
  accepted = 0
  /** Gauge: links past their handshake. */
  readonly links: Record<TrafficClass, Record<LinkState, number>> = {
    urgent: { attached: 0, visiting: 0 },
    bulk: { attached: 0, visiting: 0 },
  }
  /** Links that finished their handshake. */
  readonly handshakes = perClass()
  /** Gauge: addresses in grace, whose link was lost. */
  readonly missing = perClass()
  /** Gauge: routes (pairs of labels). */
  readonly routes = perClass()
  /** Streams opened, and let through. */
  readonly opens = perClass()
  /** Payload bytes of DATA handed to the other link. */
  readonly forwardedBytes = perClass()
  /** Frames of any type handed to the other link. */
  readonly forwardedFrames = perClass()
  /** Payload bytes dropped because their route was gone or retired. */
  readonly droppedBytes = perClass()
  /** Gauge: bytes that wait for slow links. */
  readonly queuedBytes = perClass()
  /** Gauge, asked on scrape: bytes of read buffers that are pinned, whole buffers counted. */
  pinnedBytes: () => number = () => 0
  /** Links closed after their handshake, by the reason we gave or, when lost, that we saw. */
  readonly closes: Record<CloseReason, number> = zeroed(closeReasonNames)
  /** Links refused before the handshake was done. */
  readonly refusals: Record<CloseReason, number> = zeroed(closeReasonNames)
  /** Streams reset by this relay (a reset that it only passed on is the endpoint's). */
  readonly resets: Record<ResetReason, number> = zeroed(resetReasonNames)
  /** Resets of endpoints that went through. */
  readonly resetsForwarded: Record<ResetReason, number> = zeroed(resetReasonNames)
  /** Streams that were resumed, by the acceptor's answer. */
  readonly resumes = { live: 0, ended: 0, lost: 0 }
  /** MOVED answers to OPEN and RESUME. */
  redirects = 0
  /** MOVED answers to HELLO: endpoints sent to another relay to be at home there. */
  readonly placements: Record<PlacementReason, number> = zeroed(placementReasons)
  /** GO_AWAY frames said. */
  readonly goAways: Record<GoAwayReason, number> = zeroed(goAwayReasons)
  /** Gauge: OPENs and RESUMEs that wait for an address in grace or a directory that began empty. */
  parkedOpens = 0
  /** Addresses given up: GONE sent. */
  readonly gone = { goodbye: 0, grace: 0, retired: 0, superseded: 0 }
  /** Claims and renewals that the directory could not answer. */
  directoryFailures = 0
  /** Gauge, asked on scrape: 1 while the directory can be asked, else 0. */
  directoryReachable: () => number = () => 1
  /** What Redis was asked; set before a scrape. A cached lookup cost it nothing. */
  readonly directoryCommands = {
    claim: 0,
    renew: 0,
    release: 0,
    lookup: 0,
    retire: 0,
    beat: 0,
    'cached-lookup': 0,
  }
  /** Connections that never became a link or a request. */
  readonly sniffFailures: Record<SniffFailure, number> = zeroed(sniffFailures)
  /** HTTP requests answered, by status class. */
  readonly httpRequests = { ok: 0, refused: 0 }
}
