/** What a relay allows, and when it gives up waiting. Filled from the command line by run.ts. */

export interface RelayLimits {
  /** Handshake of a link, ms. */
  readonly handshakeMs: number
  /** Links at once. */
  readonly maxLinks: number
  /** Streams on one link. */
  readonly maxStreams: number
  /** Bytes queued for one link; announced to it in WELCOME. */
  readonly linkQueueBytes: number
  /** Bytes queued for all links. */
  readonly relayQueueBytes: number
  /** Frames other than DATA a link may send a second; twice as many in a burst. */
  readonly controlFramesPerSecond: number
  readonly keepaliveMs: number
  /** Nothing came on a link for this long: it is lost (S). */
  readonly silenceMs: number
  /** An address without a link is given up after this long (G). */
  readonly graceMs: number
  /** A lease lives this long without renewal: longer than a dead peer can go unnoticed. */
  readonly leaseMs: number
  /** After GO_AWAY, endpoints have this long. */
  readonly drainMs: number
}

export const defaultRelayLimits: RelayLimits = {
  handshakeMs: 5_000,
  maxLinks: 10_000,
  maxStreams: 16_384,
  linkQueueBytes: 64 * 1024 * 1024,
  relayQueueBytes: 1024 * 1024 * 1024,
  controlFramesPerSecond: 100_000,
  keepaliveMs: 2_000,
  silenceMs: 6_000,
  graceMs: 8_000,
  leaseMs: 15_000,
  drainMs: 10_000,
}
