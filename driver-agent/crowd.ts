/**
 * A bound on the connections of a server that anybody on this machine reaches. When it is full the
 * oldest connection goes that has not shown its secret: whoever only holds connections keeps nobody
 * out, since one with the secret shows it at once. Used by the facade and the log server.
 */
import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'

export class Crowd {
  readonly #all = new Set<Duplex>()
  readonly #strangers = new Set<Duplex>()

  /** `dropped`: a connection was ended for want of room. */
  constructor(server: Server, most: number, dropped: () => void = () => {}) {
    server.on('connection', (socket: Duplex) => {
      this.#all.add(socket)
      this.#strangers.add(socket)
      socket.once('close', () => this.#forget(socket))
      if (this.#all.size <= most) return
      const [oldest = socket] = this.#strangers
      this.#forget(oldest)
      oldest.destroy()
      dropped()
    })
  }

  /** It has shown the secret. */
  trust(socket: Duplex): void {
    this.#strangers.delete(socket)
  }

  #forget(socket: Duplex): void {
    this.#all.delete(socket)
    this.#strangers.delete(socket)
  }
}
