/**
 * Reads a socket into slabs. The cheap way is Node's `onread`: the kernel writes straight into
 * a buffer of ours. Node documents it for sockets that dial; for accepted ones their handle is
 * moved to a second Socket, which is not documented, so that it lives here alone, beside a way
 * that does without. Used by relay/pipe for links and by relay/loopback for local sockets.
 *
 * Node keeps one buffer armed a socket, read or not. A quiet socket is therefore armed with one
 * scratch buffer that all quiet ones share, and what comes is copied into a slab of its own
 * size; a read that fills the scratch buffer makes the socket busy: it gets a slab from the
 * pool, until a run of small reads makes it quiet again.
 */
import net from 'node:net'
import { Slab, type SlabPool } from './slab.ts'

export interface SocketReaderOptions {
  /** Where a busy socket's buffers come from; their size is what one read may bring. */
  readonly pool: SlabPool
  /** Bytes left free before what was read, for a header. 0 (the default) to a few hundred. */
  readonly headroomBytes?: number
  /**
   * Bytes `start` to `end` of `slab.bytes` came; `start` is at least `headroomBytes`, and what
   * lies from `start - headroomBytes` on may be written over. Valid until the call returns,
   * unless the slab is retained; the reader then goes on in the rest of it, or in another.
   */
  onBytes(slab: Slab, start: number, end: number): void
  /**
   * Asked after a read that filled its buffer: should this socket wait for its next turn of the
   * event loop? Without it, libuv reads a socket up to 32 times a turn: cheaper for bulk (0.46
   * to 0.50 CPU-s a relayed GiB against 0.65 to 0.80), while others wait 32 buffers long (150 to
   * 300 ms at p99 behind 16 links of 256 KiB, against 13). Default: never.
   */
  readonly yieldWhen?: () => boolean
}

/** A socket and what reads it. The reader begins paused. */
export interface ReadSocket<S extends net.Socket = net.Socket> {
  readonly socket: S
  readonly reader: SocketReader
}

export interface SocketReader {
  /** Reads nothing more until resume(). May be called from within onBytes. */
  pause(): void
  resume(): void
  /** Most bytes that one of the next reads may bring: 1 or more, at most what a slab holds. */
  maxReadBytes: number
  /** True while it has a slab of its own armed. */
  readonly isBusy: boolean
}

/** Node's way to hand a buffer to a socket that is being made. */
export interface OnRead {
  buffer(): Uint8Array
  callback(bytes: number): boolean
}

const SCRATCH_BYTES = 16 * 1024
/** Reads shorter than this are what a quiet socket brings. */
const SMALL_READ_BYTES = 4 * 1024
/** That many small reads in a row make a busy socket quiet: at a keepalive each 2 s, within 16 s. */
const SMALL_READS = 8

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/**
 * Makes a socket that dials and is read by `onread`: `connect` passes the given value on to
 * net.connect() or tls.connect() as their option of that name.
 */
export function readDialled<S extends net.Socket>(
  connect: (onread: OnRead) => S,
  options: SocketReaderOptions,
): ReadSocket<S> {
  const reader = new OnReadReader(options)
  const socket = connect(reader.onread)
  reader.bind(socket)
  return { socket, reader }
}

/**
 * Takes over a plain accepted socket (TCP or Unix; never TLS): use the one that is answered, the
 * given one is a husk afterwards. All bytes that it has read so far must have been taken out of
 * it, and it must not be in the middle of a write. Where the handle cannot be moved, the same
 * socket is answered, read by 'data' events.
 */
export function readAccepted(accepted: net.Socket, options: SocketReaderOptions): ReadSocket {
  const handle = handleOf(accepted)
  if (handle === undefined) return readByEvents(accepted, options)
  const husk = accepted as unknown as { _handle: unknown }
  handle.readStop()
  handle.reading = false
  husk._handle = null
  const reader = new OnReadReader(options)
  // `handle` is no public option: see the head of this file.
  const socket = new net.Socket({ handle, onread: reader.onread } as unknown as net.SocketConstructorOpts)
  reader.bind(socket)
  // Without a handle this closes nothing, but the server counts one connection less.
  accepted.destroy()
  return { socket, reader }
}

/** Reads a socket of any kind by 'data' events: a buffer of Node's for each read. */
export function readByEvents<S extends net.Socket>(socket: S, options: SocketReaderOptions): ReadSocket<S> {
  return { socket, reader: new EventReader(socket, options) }
}

interface TcpHandle {
  reading: boolean
  readStop(): number
}

function handleOf(socket: net.Socket): TcpHandle | undefined {
  const handle = (socket as { _handle?: (Partial<TcpHandle> & { useUserBuffer?: unknown }) | null })._handle
  if (typeof handle?.readStop !== 'function' || typeof handle.useUserBuffer !== 'function') return undefined
  return handle as TcpHandle
}

/** What a reader is doing. Nothing leaves `over`. */
type Reading = 'paused' | 'reading' | 'yielded' | 'over'

class OnReadReader implements SocketReader {
  readonly #pool: SlabPool
  readonly #headroom: number
  readonly #onBytes: SocketReaderOptions['onBytes']
  readonly #yieldWhen: (() => boolean) | undefined
  #socket: net.Socket | undefined
  #state: Reading = 'paused'
  /** The slab that is armed, if busy; this reader holds one reference to it. */
  #own: Slab | undefined
  /** Where in #own the next read goes. */
  #from = 0
  /** What Node holds: part of #own, or of the scratch buffer. */
  #armed: Buffer = scratch
  #armedSlab: Slab | undefined
  #armedFrom = 0
  #smallReads = 0
  maxReadBytes: number

  constructor(options: SocketReaderOptions) {
    this.#pool = options.pool
    this.#headroom = options.headroomBytes ?? 0
    this.#onBytes = options.onBytes
    this.#yieldWhen = options.yieldWhen
    this.maxReadBytes = options.pool.slabBytes - this.#headroom
  }

  readonly onread: OnRead = {
    buffer: () => this.#arm(),
    callback: (bytes) => this.#handleRead(bytes),
  }

  bind(socket: net.Socket): void {
    this.#socket = socket
    socket.pause()
    // Not before: until its handle is closed, the kernel may still write into what is armed.
    socket.on('close', () => {
      this.#state = 'over'
      this.#own?.release()
      this.#own = undefined
    })
  }

  get isBusy(): boolean {
    return this.#own !== undefined
  }

  pause(): void {
    if (this.#state !== 'reading' && this.#state !== 'yielded') return
    this.#state = 'paused'
    this.#socket?.pause()
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'reading'
    this.#socket?.resume()
  }

  /** The buffer for the next read. Node asks after each. */
  #arm(): Buffer {
    const own = this.#own
    if (own === undefined) {
      const length = Math.min(SCRATCH_BYTES, this.maxReadBytes)
      if (this.#armedSlab !== undefined || this.#armed.length !== length) {
        this.#armed = length === SCRATCH_BYTES ? scratch : scratch.subarray(0, length)
        this.#armedSlab = undefined
      }
      return this.#armed
    }
    const length = Math.min(own.bytes.length - this.#from, this.maxReadBytes)
    if (this.#armedSlab !== own || this.#armedFrom !== this.#from || this.#armed.length !== length) {
      this.#armed = own.bytes.subarray(this.#from, this.#from + length)
      this.#armedSlab = own
      this.#armedFrom = this.#from
    }
    return this.#armed
  }

  /** False stops reading. */
  #handleRead(bytes: number): boolean {
    const isFull = bytes === this.#armed.length
    if (this.#own === undefined) this.#passCopy(bytes, isFull)
    else this.#passOwn(this.#own, bytes)
    // What was called may have paused or destroyed the socket: #state can be any by now.
    if ((this.#state as Reading) !== 'reading') return false
    if (isFull && this.#yieldWhen?.() === true) {
      this.#state = 'yielded'
      setImmediate(resumeYielded, this)
      return false
    }
    return true
  }

  #passCopy(bytes: number, isFull: boolean): void {
    const slab = copied(this.#armed, bytes, this.#headroom)
    if (isFull) {
      this.#own = this.#pool.take()
      this.#from = this.#headroom
      this.#smallReads = 0
    }
    this.#onBytes(slab, this.#headroom, this.#headroom + bytes)
    slab.release()
  }

  #passOwn(own: Slab, bytes: number): void {
    const start = this.#from
    const end = start + bytes
    this.#onBytes(own, start, end)
    if (this.#own !== own) return
    this.#smallReads = bytes < SMALL_READ_BYTES ? this.#smallReads + 1 : 0
    if (this.#smallReads === SMALL_READS) {
      own.release()
      this.#own = undefined
    } else if (!own.isShared) {
      this.#from = this.#headroom
    } else if (own.bytes.length - end - this.#headroom >= own.bytes.length >>> 2) {
      // Someone keeps what came; the rest of the slab is pinned with it, so it is used.
      this.#from = end + this.#headroom
    } else {
      own.release()
      this.#own = this.#pool.take()
      this.#from = this.#headroom
    }
  }

  /** Called in the next turn, by the one function that all readers share. */
  goOn(): void {
    if (this.#state !== 'yielded') return
    this.#state = 'reading'
    this.#socket?.resume()
  }
}

function resumeYielded(reader: OnReadReader): void {
  reader.goOn()
}

/** For sockets that take no buffer: TLS on the accepting side, or a Node that changed its inside. */
class EventReader implements SocketReader {
  readonly #socket: net.Socket
  readonly isBusy = false
  maxReadBytes: number

  constructor(socket: net.Socket, options: SocketReaderOptions) {
    this.#socket = socket
    const headroom = options.headroomBytes ?? 0
    this.maxReadBytes = options.pool.slabBytes - headroom
    socket.pause()
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length && !socket.destroyed; at += this.maxReadBytes) {
        const part = chunk.subarray(at, at + this.maxReadBytes)
        const slab = headroom === 0 ? new Slab(part) : copied(part, part.length, headroom)
        options.onBytes(slab, headroom, headroom + part.length)
        slab.release()
      }
    })
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }
}

/** A slab of its own size: what a quiet socket brings is kept in full or not at all. */
function copied(from: Buffer, bytes: number, headroom: number): Slab {
  const buffer = Buffer.allocUnsafe(headroom + bytes)
  from.copy(buffer, headroom, 0, bytes)
  return new Slab(buffer)
}
