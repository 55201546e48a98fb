/** Tells the agent how many bytes went to and from whom: while they move, and once at the end. Used by shim.ts. */
import type { Tunnel, TunnelStats } from '../relay/loopback/tunnel-types.ts'
import type { ShimMessage } from './control.ts'

type TrafficMessage = Extract<ShimMessage, { is: 'traffic' }>

/**
 * A thousand executors that all speak with each other have a million pairs: with 20 ms a peer, each
 * reports every 20 s, and the agent reads 50,000 figures a second instead of half a million.
 */
const PEER_MS = 20

/** Of those more are told of than an application has executors; the message stays below a third of what it may have. */
const MAX_PEERS = 5_000

export class TrafficReport {
  readonly #tunnel: Tunnel
  readonly #send: (message: TrafficMessage) => void
  readonly #periodMs: number
  #timer: NodeJS.Timeout | undefined
  #sentSum = -1
  #isClosed = false

  /** Looks every `periodMs`, less often with many peers; sends only when something changed. */
  constructor(tunnel: Tunnel, periodMs: number, send: (message: TrafficMessage) => void) {
    this.#tunnel = tunnel
    this.#periodMs = periodMs
    this.#send = send
    this.#lookLater(0)
  }

  /** Sends the last figures. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#sentSum = -1
    await this.#look()
  }

  #lookLater(peers: number): void {
    this.#timer = setTimeout(
      async () => {
        const seen = await this.#look()
        if (!this.#isClosed) this.#lookLater(seen)
      },
      Math.max(this.#periodMs, peers * PEER_MS),
    )
    this.#timer.unref()
  }

  /** Answers how many peers there are. */
  async #look(): Promise<number> {
    const stats = await this.#tunnel.stats().catch(() => undefined) // the tunnel is closing
    if (stats === undefined) return 0
    const sum = sumOf(stats)
    if (sum === this.#sentSum) return stats.peers.length
    this.#sentSum = sum
    this.#send({
      is: 'traffic',
      peers: busiest(stats.peers).map(({ peer, sentBytes, receivedBytes, streams }) => ({
        peer,
        sentBytes,
        receivedBytes,
        streams,
      })),
      resumes: stats.resumes,
      shimResidentBytes: process.memoryUsage.rss(),
    })
    return stats.peers.length
  }
}

/** A program that dials thousands of addresses that nobody has must not make a message that is too long to send. */
function busiest(peers: TunnelStats['peers']): TunnelStats['peers'] {
  const bytes = ({ sentBytes, receivedBytes }: TunnelStats['peers'][number]): number =>
    sentBytes + receivedBytes
  const spoken = peers.filter((peer) => bytes(peer) > 0)
  if (spoken.length <= MAX_PEERS) return spoken
  return spoken.sort((a, b) => bytes(b) - bytes(a)).slice(0, MAX_PEERS)
}

/** Every figure only grows, so an equal sum means that nothing moved. */
function sumOf(stats: TunnelStats): number {
  let sum = stats.resumes
  for (const { sentBytes, receivedBytes, streams } of stats.peers) sum += sentBytes + receivedBytes + streams
  return sum
}
