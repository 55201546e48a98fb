/**
 * A pipe over a socket: TCP, Unix or TLS. Made by dial.ts and by relay/server's listener.
 */
import type { Socket } from 'node:net'
import type { TrafficClass } from '../wire/control.ts'
import type { Pausable, Pipe, PipeEvents } from './pipe.ts'
import { Slab } from './slab.ts'
import { SMALL_WRITE_BYTES, SmallWrites } from './small-writes.ts'
import type { ReadSocket, SocketReader, SocketReaderOptions } from './socket-reader.ts'
import { isWorthCopying, WriteLedger } from './write-ledger.ts'

/** What end() gives the other side to take the rest and to close, ms. */
const END_MS = 1_000

export interface SocketPipeOptions {
  readonly name: string
  /** Makes the socket with its reader, or takes one over. Called once, by the constructor. */
  readonly open: (options: Pick<SocketReaderOptions, 'onBytes'>) => ReadSocket
  /** Bytes that were read before, delivered first. */
  readonly first?: Buffer
  readonly onEstablished?: (trafficClass: TrafficClass) => void
}

/**
 * `idle`: not started. `ending`: our half is finished, what comes is thrown away until the other
 * side closes (closing at once would have the kernel reset the connection, and the last bytes
 * with it). Nothing leaves `over`.
 */
type State = 'idle' | 'open' | 'ending' | 'over'

/** What keeps writes back. `soon`: the end of the turn. `corked`: the owner. Both cork the socket, once. */
type Gathering = 'no' | 'soon' | 'corked'

export class SocketPipe implements Pipe, Pausable {
  readonly name: string
  /** For who made the pipe: to wait for the connection. */
  readonly socket: Socket
  readonly #reader: SocketReader
  #onEstablished: ((trafficClass: TrafficClass) => void) | undefined
  readonly #ledger = new WriteLedger()
  /** Behind all in the ledger, which is never empty while something is here: leaves when that is done. */
  readonly #small = new SmallWrites()
  #state: State = 'idle'
  #events: PipeEvents | undefined
  #first: Buffer | undefined
  #error: Error | undefined
  #gathering: Gathering = 'no'
  /** When gathering began. */
  #backlog = 0
  #isTurnEndDue = false
  /** Writes were left waiting: the owner hears of their end. */
  #owesDrained = false

  constructor(options: SocketPipeOptions) {
    this.name = options.name
    this.#first = options.first
    this.#onEstablished = options.onEstablished
    const { socket, reader } = options.open({ onBytes: this.#handleBytes })
    this.socket = socket
    this.#reader = reader
    socket.setNoDelay(true)
    socket.on('error', (error) => {
      this.#error = error
    })
    // The other side ends a link as a whole: what we still have for it, it will not read.
    socket.on('end', destroyIt)
    socket.on('close', this.#handleClose)
  }

  get queuedBytes(): number {
    return this.socket.writableLength + this.#small.length
  }

  start(events: PipeEvents): void {
    if (this.#events !== undefined) throw new Error(`${this.name} was started twice`)
    this.#events = events
    if (this.#state === 'over') {
      queueMicrotask(() => events.closed(this.#error))
      return
    }
    if (this.#state === 'idle') this.#state = 'open'
    const first = this.#first
    this.#first = undefined
    if (first !== undefined && first.length > 0) {
      // Not from within start(): the caller has not seen the pipe started yet.
      queueMicrotask(() => {
        this.#passFirst(first)
        this.#reader.resume()
      })
    } else this.#reader.resume()
  }

  write(bytes: Uint8Array, slab?: Slab): void {
    if (this.#state === 'ending' || this.#state === 'over' || bytes.length === 0) return
    const socket = this.socket
    if (this.#gathering === 'soon') this.#stopGathering()
    const isCorked = this.#gathering === 'corked'
    const backlog = isCorked ? this.#backlog : socket.writableLength
    if (backlog > 0 && bytes.length <= SMALL_WRITE_BYTES && !this.#ledger.isEmpty)
      return this.#keepSmall(bytes)
    if (this.#small.length > 0) this.#sendSmall()
    if (backlog > 0 && slab !== undefined && isWorthCopying(bytes, slab)) {
      this.#ledger.push(undefined)
      socket.write(Buffer.from(bytes), this.#handleWritten)
    } else if (isCorked) {
      this.#ledger.push(slab)
      socket.write(bytes, this.#handleWritten)
      return
    } else {
      socket.write(bytes, this.#handleWritten)
      // Nothing left means that the kernel has it all: the slab need not wait for the callback.
      this.#ledger.push(socket.writableLength === 0 ? undefined : slab)
    }
    if (socket.writableLength > 0) this.#owesDrained = true
  }

  writeSoon(bytes: Uint8Array): void {
    if (this.#state === 'ending' || this.#state === 'over') return
    if (this.#small.length > 0) return this.#keepSmall(bytes)
    if (this.#gathering === 'no') {
      this.#startGathering('soon')
      // At most one for each pipe and turn, whoever has taken over the gathering since.
      if (!this.#isTurnEndDue) setImmediate(endTurn, this)
      this.#isTurnEndDue = true
    }
    this.#ledger.push(undefined)
    this.socket.write(bytes, this.#handleWritten)
  }

  /** For endTurn(). */
  turnEnded(): void {
    this.#isTurnEndDue = false
    if (this.#gathering === 'soon') this.#stopGathering()
  }

  cork(): void {
    if (this.#gathering === 'no') this.#startGathering('corked')
    else this.#gathering = 'corked' // what waited goes with the rest
  }

  // The socket counts its corks, and one too many would hold all bytes back for ever: one a gathering.
  uncork(): void {
    if (this.#gathering === 'corked') this.#stopGathering()
  }

  #startGathering(gathering: Gathering): void {
    this.#gathering = gathering
    this.#backlog = this.socket.writableLength
    this.socket.cork()
  }

  #stopGathering(): void {
    this.#gathering = 'no'
    this.socket.uncork()
    if (this.socket.writableLength > 0) this.#owesDrained = true
    // Node calls back in a moment, and by then the reader would have gone on in another slab.
    else this.#ledger.letGo()
  }

  #keepSmall(bytes: Uint8Array): void {
    if (!this.#small.add(bytes)) {
      this.#sendSmall()
      this.#small.add(bytes)
    }
    this.#owesDrained = true
  }

  #sendSmall(): void {
    this.#ledger.push(undefined)
    this.socket.write(this.#small.take(), this.#handleWritten)
  }

  established(trafficClass: TrafficClass): void {
    const tell = this.#onEstablished
    this.#onEstablished = undefined
    tell?.(trafficClass)
  }

  pause(): void {
    if (this.#state === 'open') this.#reader.pause()
  }

  resume(): void {
    if (this.#state === 'open') this.#reader.resume()
  }

  end(): void {
    if (this.#state === 'ending' || this.#state === 'over') return
    this.#state = 'ending'
    this.#first = undefined
    if (this.#small.length > 0) this.#sendSmall()
    this.socket.end()
    this.#reader.resume()
    const timer = setTimeout(() => this.socket.destroy(), END_MS)
    timer.unref()
    this.socket.once('close', () => clearTimeout(timer))
  }

  destroy(): void {
    this.socket.destroy()
  }

  #passFirst(first: Buffer): void {
    if (this.#state !== 'open') return
    const slab = new Slab(first)
    this.#events?.data(slab, 0, first.length)
    slab.release()
  }

  readonly #handleBytes = (slab: Slab, start: number, end: number): void => {
    if (this.#state === 'open' && !this.socket.destroyed) this.#events?.data(slab, start, end)
  }

  /** One function for all writes of this pipe: they finish in order. */
  readonly #handleWritten = (): void => {
    if (this.#state === 'over' || this.#ledger.isEmpty) return
    if (!this.#ledger.shift()) return
    if (this.#small.length > 0) return this.#sendSmall()
    if (!this.#owesDrained || this.socket.writableLength > 0) return
    this.#owesDrained = false
    if (this.#state === 'open' && !this.socket.destroyed) this.#events?.drained()
  }

  readonly #handleClose = (): void => {
    this.#state = 'over'
    this.#first = undefined
    this.#ledger.clear()
    this.#small.clear()
    this.#events?.closed(this.#error)
  }
}

/** One function for all pipes, not a closure each. */
function endTurn(pipe: SocketPipe): void {
  pipe.turnEnded()
}

/** One function for all sockets, not a closure each. */
function destroyIt(this: Socket): void {
  this.destroy()
}
