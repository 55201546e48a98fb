/**
 * What peers dial: an incoming stream is joined to a local server. A dial that fails is told
 * to the peer at once, with the reason, since that is when its program finds out. Used by
 * lane.ts.
 */
import type { IncomingStream } from '../endpoint/types.ts'
import type { SlabPool } from '../pipe/slab.ts'
import type { Clock } from '../time/clock.ts'
import type { ResetReason } from '../wire/index.ts'
import { hasIpv6Loopback } from './address.ts'
import { SocketSide } from './socket-side.ts'
import type { ServePort } from './tunnel-types.ts'

/** A local server that does not answer a dial for this long is given up, ms: loopback answers at once or never. */
export const DIAL_TIMEOUT_MS = 10_000

export interface ServeOptions {
  readonly serves: readonly ServePort[]
  /** Our own address: where the program listens when there is no ::1. */
  readonly own: string
  /** Where the next local socket's read buffers come from. */
  readonly pool: () => SlabPool
  readonly clock: Clock
  /** Each side made, until its socket closes. */
  readonly sides: Set<SocketSide>
  readonly dialTimeoutMs?: number
}

export class Server {
  readonly #options: ServeOptions
  readonly #targets = new Map<number, { readonly host: string; readonly port: number }>()

  constructor(options: ServeOptions) {
    this.#options = options
    const host = hasIpv6Loopback() ? '::1' : options.own
    for (const { port, target } of options.serves) this.#targets.set(port, target ?? { host, port })
  }

  /** Dials the server that stands behind the stream's port; accepts or rejects the stream. */
  handleIncoming(stream: IncomingStream): void {
    const target = this.#targets.get(stream.port)
    if (target === undefined) {
      stream.reject('forbidden')
      return
    }
    const { pool, clock, sides, dialTimeoutMs = DIAL_TIMEOUT_MS } = this.#options
    const side = SocketSide.dialled(target.host, target.port, pool())
    const { socket } = side
    sides.add(side)
    socket.once('close', () => sides.delete(side))
    const timer = clock.after(dialTimeoutMs, () => {
      socket.off('error', fail)
      socket.destroy()
      if (!stream.isOver) stream.reject('timeout')
    })
    const fail = (error: NodeJS.ErrnoException): void => {
      timer.cancel()
      if (!stream.isOver) stream.reject(dialFailure(error))
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      timer.cancel()
      socket.off('error', fail)
      if (stream.isOver) socket.resetAndDestroy()
      else side.bindOpen(stream.accept(side))
    })
  }
}

/** What a failed local dial is called on the wire. Pure. */
export function dialFailure(error: NodeJS.ErrnoException): ResetReason {
  switch (error.code) {
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EADDRNOTAVAIL': // no local port is left
      return 'overloaded'
    case 'ETIMEDOUT':
      return 'timeout'
    default:
      return 'refused'
  }
}
