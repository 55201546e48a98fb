/**
 * The way in on a machine without ::1: the program beside us is bound to its own virtual
 * address, which keeps the wildcard address from being bound on the same port. So there is
 * one listener for each (peer address, port).
 *
 * Nobody tells an endpoint which peers there are: Spark hands addresses around inside its own
 * messages. But the agent gives them out one after another from 127.64.0.1 on, so we listen
 * for the first so many of them, and later for any peer that opened a stream to us. Each
 * costs a descriptor (Lambda has 1,024): hence the cap. A peer beyond it cannot be dialled
 * from here (the kernel refuses); that is said at the start and once for such a peer.
 * Used by lane.ts.
 */
import type { Server } from 'node:net'
import type { Logger } from 'pino'
import { virtualAddress } from './address.ts'
import { TunnelError } from './errors.ts'
import { closeServers, type Gate } from './gate.ts'
import type { Listeners } from './wildcard.ts'

export interface PerPeerOptions {
  readonly gate: Gate
  readonly ports: readonly number[]
  /** Our own address: the program beside us listens there itself. */
  readonly own: string
  /** Listeners at most, all ports together. 1 to 20,000. */
  readonly cap: number
  readonly log: Pick<Logger, 'warn'>
}

export class PerPeerListeners implements Listeners {
  readonly #options: PerPeerOptions
  readonly #servers: Server[] = []
  /** Listened for, or given up: not tried again. */
  readonly #known = new Set<string>()
  #state: 'open' | 'closed' = 'open'

  /** Use `open`. */
  private constructor(options: PerPeerOptions) {
    this.#options = options
    this.#known.add(options.own)
  }

  /** Listens for as many of the first addresses as the cap allows. All or none. Throws TunnelError. */
  static async open(options: PerPeerOptions): Promise<PerPeerListeners> {
    const listeners = new PerPeerListeners(options)
    if (options.ports.length === 0) return listeners
    const peers = Math.floor(options.cap / options.ports.length)
    if (peers === 0) {
      throw new TunnelError(
        'usage',
        `without ::1 each of the ${options.ports.length} dial ports needs a listener per peer, but only ${options.cap} are allowed: raise the cap, or enable IPv6 on loopback (sysctl net.ipv6.conf.lo.disable_ipv6=0)`,
      )
    }
    try {
      for (let index = 1, open = 0; open < peers; index += 1) {
        const peer = virtualAddress(index)
        if (peer === options.own) continue
        await listeners.#listen(peer)
        open += 1
      }
    } catch (error) {
      listeners.close()
      throw error
    }
    options.log.warn(
      { listeners: listeners.count },
      `without ::1 only ${peers} peers from ${virtualAddress(1)} on can be dialled from here (a listener each); enable IPv6 on loopback for any number`,
    )
    return listeners
  }

  get count(): number {
    return this.#servers.length
  }

  /** A peer has shown itself: listens for it too while the cap allows. */
  async ensure(peer: string): Promise<void> {
    const { ports, cap, log } = this.#options
    if (this.#state === 'closed' || this.#known.has(peer) || ports.length === 0) return
    if (this.count + ports.length > cap) {
      this.#known.add(peer)
      log.warn(
        { peer, cap },
        'peer cannot be dialled from here: every listener is taken, and there is no ::1',
      )
      return
    }
    try {
      await this.#listen(peer)
    } catch (error) {
      log.warn({ peer, error: (error as Error).message }, 'peer cannot be dialled from here')
    }
  }

  close(): void {
    this.#state = 'closed'
    closeServers(this.#servers)
  }

  async #listen(peer: string): Promise<void> {
    this.#known.add(peer)
    for (const port of this.#options.ports) {
      const server = await this.#options.gate.listen(peer, port)
      if (this.#state === 'closed') server.close()
      else this.#servers.push(server)
    }
  }
}
