/** Tells the agent how many bytes went to and from whom: while they move, and once at the end. Used by shim.ts. */
import type { Tunnel, TunnelStats } from '../relay/loopback/tunnel-types.ts'
import type { ShimMessage } from './control.ts'

type TrafficMessage = Extract<ShimMessage, { is: 'traffic' }>

export class TrafficReport {
  readonly #tunnel: Tunnel
  readonly #send: (message: TrafficMessage) => void
  readonly #timer: NodeJS.Timeout
  #sentSum = -1

  /** Looks every `periodMs`; sends only when something changed. */
  constructor(tunnel: Tunnel, periodMs: number, send: (message: TrafficMessage) => void) {
    this.#tunnel = tunnel
    this.#send = send
    this.#timer = setInterval(() => void this.#look(), periodMs)
    this.#timer.unref()
  }

  /** Sends the last figures. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#sentSum = -1
    await this.#look()
  }

  async #look(): Promise<void> {
    const stats = await this.#tunnel.stats().catch(() => undefined) // the tunnel is closing
    if (stats === undefined) return
    const sum = sumOf(stats)
    if (sum === this.#sentSum) return
    this.#sentSum = sum
    this.#send({
      is: 'traffic',
      peers: stats.peers.map(({ peer, sentBytes, receivedBytes, streams }) => ({
        peer,
        sentBytes,
        receivedBytes,
        streams,
      })),
      resumes: stats.resumes,
      shimResidentBytes: process.memoryUsage.rss(),
    })
  }
}

/** Every figure only grows, so an equal sum means that nothing moved. */
function sumOf(stats: TunnelStats): number {
  let sum = stats.resumes
  for (const { sentBytes, receivedBytes, streams } of stats.peers) sum += sentBytes + receivedBytes + streams
  return sum
}
