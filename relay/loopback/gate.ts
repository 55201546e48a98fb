/**
 * Who may come in by a local listener: only programs of this machine, of our own user, that
 * dial a virtual address. All others are reset at once and counted by reason. Used by
 * wildcard.ts and per-peer.ts.
 */
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Logger } from 'pino'
import { isMilestone } from '../time/milestone.ts'
import { isIpv4Loopback, isVirtualAddress } from './address.ts'
import { listenError } from './errors.ts'
import { OwnerLookup } from './owner.ts'

/** A program beside us dialled `peer:port`. The socket is paused and half-open is allowed. */
export type OnConnection = (socket: Socket, peer: string, port: number) => void

/** Why a connection was turned away. */
export const foreignReasons = ['remote', 'address', 'user', 'unknown-user'] as const
export type ForeignReason = (typeof foreignReasons)[number]

export interface GateOptions {
  /** Turn away connections of another uid, where the kernel tells (Linux). Costs a few ms before a stream opens. */
  readonly checkUid: boolean
  /** Default: this process's. Tests set another. */
  readonly uid?: number
  readonly lookup?: OwnerLookup
  readonly onConnection: OnConnection
  readonly log: Pick<Logger, 'warn'>
}

export class Gate {
  readonly #options: GateOptions
  readonly #lookup: OwnerLookup
  readonly #uid: number | undefined
  readonly #turnedAway: Record<ForeignReason, number> = { remote: 0, address: 0, user: 0, 'unknown-user': 0 }
  /** False once the kernel has refused to say: then the check is off, and that was logged. */
  #canTell = true

  constructor(options: GateOptions) {
    this.#options = options
    this.#lookup = options.lookup ?? new OwnerLookup()
    this.#uid = options.uid ?? process.getuid?.()
  }

  /** Connections turned away, by reason. */
  get turnedAway(): Readonly<Record<ForeignReason, number>> {
    return this.#turnedAway
  }

  get foreignConnections(): number {
    return foreignReasons.reduce((sum, reason) => sum + this.#turnedAway[reason], 0)
  }

  /** Opens a listener whose connections pass this gate. Throws TunnelError. */
  listen(host: string, port: number): Promise<Server> {
    // Paused: the one who gets the socket decides how it is read.
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    server.on('connection', (socket) => this.#handleConnection(socket))
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, host, port)))
      server.listen({ host, port, backlog: 4096 }, () => {
        server.removeAllListeners('error')
        // accept() fails when descriptors run out; the kernel's queue keeps the connection or drops it.
        server.on('error', (error) => this.#options.log.warn({ port, error: error.message }, 'accept failed'))
        resolve(server)
      })
    })
  }

  #handleConnection(socket: Socket): void {
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    if (
      localAddress === undefined ||
      localPort === undefined ||
      remoteAddress === undefined ||
      remotePort === undefined
    ) {
      socket.destroy() // It was reset before we came to look.
      return
    }
    if (!isIpv4Loopback(remoteAddress)) this.#turnAway(socket, 'remote')
    else if (!isVirtualAddress(localAddress)) this.#turnAway(socket, 'address')
    else if (this.#options.checkUid && this.#canTell && this.#uid !== undefined) {
      void this.#checkOwner(socket, remoteAddress, remotePort, localAddress, localPort)
    } else this.#options.onConnection(socket, localAddress, localPort)
  }

  async #checkOwner(
    socket: Socket,
    from: string,
    fromPort: number,
    to: string,
    toPort: number,
  ): Promise<void> {
    // A paused socket is not read, so nothing of it can fail before it is handed on.
    let owner = await this.#lookup.ownerOf(from, fromPort, to, toPort)
    // The kernel gives its table out in pieces, and may skip a line where one in front was removed.
    if (owner?.is === 'unknown') owner = await this.#lookup.ownerOf(from, fromPort, to, toPort)
    if (owner === null) {
      if (this.#canTell) {
        this.#options.log.warn('/proc/net/tcp cannot be read: connections of other users are not told apart')
      }
      this.#canTell = false
    } else if (owner.is === 'unknown') {
      // Its program closed it before we looked. Whoever it was would not wait for an answer either.
      this.#turnAway(socket, 'unknown-user')
      return
    } else if (owner.uid !== this.#uid) {
      this.#turnAway(socket, 'user')
      return
    }
    this.#options.onConnection(socket, to, toPort)
  }

  #turnAway(socket: Socket, reason: ForeignReason): void {
    this.#turnedAway[reason] += 1
    socket.on('error', () => {})
    socket.resetAndDestroy()
    const count = this.#turnedAway[reason]
    if (isMilestone(count)) {
      this.#options.log.warn({ reason, count, port: socket.localPort }, 'foreign connection closed')
    }
  }
}

/** Closes listeners; resolves when their ports are free. Connections live on. */
export function closeServers(servers: readonly Server[]): void {
  for (const server of servers) server.close()
}
