/**
 * The local side of a stream that is a TCP socket of this machine: what the program beside us
 * dialled or serves. Reads into pooled slabs with room for a header in front, writes what is
 * delivered without copying, and keeps TCP's ends: half-close both ways, reset both ways.
 * Made by lane.ts and serve.ts; driven by the stream through LocalSide.
 */
import { connect, type Socket } from 'node:net'
import type { LocalSide, StreamHandle } from '../endpoint/types.ts'
import type { Slab, SlabPool } from '../pipe/slab.ts'
import {
  type ReadSocket,
  readAccepted,
  readByEvents,
  readDialled,
  type SocketReader,
  type SocketReaderOptions,
} from '../pipe/socket-reader.ts'
import { isWorthCopying } from '../pipe/write-ledger.ts'
import { HEADER_BYTES, type ResetReason } from '../wire/index.ts'

/** Finished entries of the write queue are given back from so many on. */
const COMPACT_AT = 256

/** idle: no bytes move yet. open: they may. over: reset or failed; only clean-up is left. */
type SideState = 'idle' | 'open' | 'over'

type OpenSocket = (options: SocketReaderOptions) => ReadSocket

export class SocketSide implements LocalSide {
  readonly socket: Socket
  readonly #reader: SocketReader
  #handle: StreamHandle | undefined
  #state: SideState = 'idle'
  #onOpened: (() => void) | undefined
  // What the current read has brought: most reads bring one piece, so it has a place of its own.
  #piece: Buffer | undefined
  readonly #more: Buffer[] = []
  #slab: Slab | undefined
  // Writes that the kernel has not taken, oldest at #oldest; a slab where one is pinned.
  #lengths: number[] = []
  #slabs: (Slab | undefined)[] = []
  #oldest = 0

  /** Use `accepted` or `dialled`. */
  private constructor(pool: SlabPool, open: OpenSocket) {
    const { socket, reader } = open({ pool, headroomBytes: HEADER_BYTES, onBytes: this.#handleBytes })
    this.socket = socket
    this.#reader = reader
    socket.allowHalfOpen = true
    socket.setNoDelay(true)
    socket.on('end', () => this.#handleEnd())
    socket.on('error', () => this.#handleFailure())
    socket.on('close', () => this.#handleClose())
  }

  /**
   * Takes over an accepted, paused socket, which must not be used any more. `onOpened` is
   * called when the peer's machine has accepted.
   */
  static accepted(socket: Socket, pool: SlabPool, onOpened?: () => void): SocketSide {
    const side = new SocketSide(pool, (options) => readAccepted(socket, options))
    side.#onOpened = onOpened
    return side
  }

  /** The same without taking over the socket's handle, at a copy more: what is left should Node change inside. */
  static acceptedByEvents(socket: Socket, pool: SlabPool): SocketSide {
    return new SocketSide(pool, (options) => readByEvents(socket, options))
  }

  /** Dials. The caller watches `socket` for 'connect' and 'error', then binds. */
  static dialled(host: string, port: number, pool: SlabPool): SocketSide {
    return new SocketSide(pool, (options) =>
      readDialled((onread) => connect({ host, port, allowHalfOpen: true, onread }), options),
    )
  }

  /** The stream of a side that was accepted. Nothing is read until it has opened. */
  bind(handle: StreamHandle): void {
    if (this.#state === 'over') return // it failed before its handle was ours
    this.#handle = handle
    if (this.socket.destroyed) this.#abort()
  }

  /** The stream of a side that dialled: bytes may move at once. */
  bindOpen(handle: StreamHandle): void {
    this.bind(handle)
    this.opened()
  }

  opened(): void {
    if (this.#state !== 'idle') return
    this.#state = 'open'
    this.#reader.resume()
    this.#onOpened?.()
  }

  /** Kept until flush(): pieces that one read brings leave in one system call. */
  deliver(bytes: Buffer, start: number, end: number, slab: Slab): void {
    if (this.#state === 'over') return
    const piece = bytes.subarray(start, end)
    if (this.#piece === undefined) {
      this.#piece = piece
      this.#slab = slab
    } else this.#more.push(piece)
  }

  flush(): void {
    const piece = this.#piece
    const slab = this.#slab
    if (piece === undefined || slab === undefined) return
    this.#piece = undefined
    this.#slab = undefined
    const { socket } = this
    const isQueued = socket.writableLength > 0
    if (this.#more.length === 0) return this.#write(piece, slab, isQueued)
    socket.cork()
    this.#write(piece, slab, isQueued)
    for (const next of this.#more) this.#write(next, slab, isQueued)
    this.#more.length = 0
    socket.uncork()
    // The kernel has all of it; Node calls back in a moment, and by then the reader would have gone on in another slab.
    if (socket.writableLength === 0) this.#letGo()
  }

  #letGo(): void {
    for (let at = this.#oldest; at < this.#slabs.length; at += 1) {
      this.#slabs[at]?.release()
      this.#slabs[at] = undefined
    }
  }

  #write(piece: Buffer, slab: Slab, isQueued: boolean): void {
    const { socket } = this
    this.#lengths.push(piece.length)
    if (isQueued && isWorthCopying(piece, slab)) {
      this.#slabs.push(undefined)
      socket.write(Buffer.from(piece), this.#handleWritten)
      return
    }
    socket.write(piece, this.#handleWritten)
    if (socket.writableLength === 0)
      this.#slabs.push(undefined) // the kernel has all of it
    else {
      slab.retain()
      this.#slabs.push(slab)
    }
  }

  ended(): void {
    if (this.#state === 'over') return
    this.flush()
    this.socket.end()
  }

  reset(_reason: ResetReason): void {
    this.#state = 'over'
    this.#forget()
    this.#handle = undefined
    const { socket } = this
    // libuv refuses to reset while a shutdown is under way (one turn of the loop), and Node then
    // leaves the descriptor open for ever: so the shutdown is waited for.
    if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0) {
      socket.once('finish', () => socket.resetAndDestroy())
    } else socket.resetAndDestroy()
  }

  writable(): void {
    if (this.#state === 'open') this.#reader.resume()
  }

  closed(): void {
    // Both halves have ended, so the socket closes by itself once its last bytes are written.
    this.#handle = undefined
  }

  readonly #handleBytes = (slab: Slab, start: number, end: number): void => {
    if (this.#state !== 'open' || this.#handle === undefined) return
    slab.retain() // for the stream, which keeps it until the peer has the bytes
    if (!this.#handle.send(slab, start, end)) this.#reader.pause()
  }

  /** One function for all writes: they finish in order. */
  readonly #handleWritten = (error?: Error | null): void => {
    const length = this.#lengths[this.#oldest]
    if (length === undefined) return // the socket closed, and all was let go
    this.#slabs[this.#oldest]?.release()
    this.#slabs[this.#oldest] = undefined
    this.#oldest += 1
    if (this.#oldest === this.#lengths.length) {
      this.#lengths.length = 0
      this.#slabs.length = 0
      this.#oldest = 0
    } else if (this.#oldest >= COMPACT_AT) {
      this.#lengths = this.#lengths.slice(this.#oldest)
      this.#slabs = this.#slabs.slice(this.#oldest)
      this.#oldest = 0
    }
    if (error === null || error === undefined) this.#handle?.delivered(length)
  }

  #handleEnd(): void {
    if (this.#state === 'open') this.#handle?.end()
  }

  #handleFailure(): void {
    if (this.#state !== 'over') this.#abort()
  }

  /** What a read has brought for a program that is gone. */
  #forget(): void {
    this.#piece = undefined
    this.#slab = undefined
    this.#more.length = 0
  }

  #abort(): void {
    this.#state = 'over'
    this.#forget()
    this.#handle?.reset('aborted')
    this.#handle = undefined
  }

  #handleClose(): void {
    // Closed in order means that both directions had ended; anything else is an abort.
    if (this.#state !== 'over' && !(this.socket.readableEnded && this.socket.writableFinished)) this.#abort()
    // The kernel is done with every buffer: what was never written is let go here.
    this.#letGo()
    this.#lengths = []
    this.#slabs = []
    this.#oldest = 0
  }
}
