/**
 * A pipe over a WebSocket: the same bytes as binary messages of at most 64 KiB, for paths that
 * pass nothing but HTTP. Where a message ends means nothing. Made by dial.ts and by
 * relay/server's listener.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { TrafficClass } from '../wire/control.ts'
import type { Pausable, Pipe, PipeEvents } from './pipe.ts'
import { Slab } from './slab.ts'
import { SMALL_WRITE_BYTES } from './small-writes.ts'
import { isWorthCopying, WriteLedger } from './write-ledger.ts'

/** Longest message that we send, bytes. */
export const MAX_MESSAGE_BYTES = 64 * 1024
/** Longest message that we take, bytes: room for a peer that puts a header before its 64 KiB. */
export const MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES + 1024
/** Path of the links on the HTTP server. */
export const LINK_PATH = '/link'

const END_MS = 1_000

export interface WebSocketPipeOptions {
  readonly name: string
  /** Open already. */
  readonly webSocket: WebSocket
  /** What the WebSocket runs on: for its cork. */
  readonly socket: Duplex
  readonly onEstablished?: (trafficClass: TrafficClass) => void
}

type State = 'idle' | 'open' | 'ending' | 'over'

export class WebSocketPipe implements Pipe, Pausable {
  readonly name: string
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  #onEstablished: ((trafficClass: TrafficClass) => void) | undefined
  readonly #ledger = new WriteLedger()
  #state: State = 'idle'
  #events: PipeEvents | undefined
  /** What came before start(). Bounded: the WebSocket is paused until then. */
  #early: Buffer[] = []
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #isCorked = false
  #isTurnEndDue = false
  #backlogBeforeCork = 0
  #owesDrained = false
  #error: Error | undefined

  constructor(options: WebSocketPipeOptions) {
    this.name = options.name
    this.#webSocket = options.webSocket
    this.#socket = options.socket
    this.#onEstablished = options.onEstablished
    this.#webSocket.on('message', this.#handleMessage)
    this.#webSocket.on('error', (error) => {
      this.#error = error
    })
    this.#webSocket.once('close', this.#handleClose)
    this.#webSocket.pause()
  }

  get queuedBytes(): number {
    return this.#webSocket.bufferedAmount + this.#gatheredBytes
  }

  start(events: PipeEvents): void {
    if (this.#events !== undefined) throw new Error(`${this.name} was started twice`)
    this.#events = events
    if (this.#state === 'over') {
      queueMicrotask(() => events.closed(this.#error))
      return
    }
    if (this.#state === 'idle') this.#state = 'open'
    queueMicrotask(() => {
      for (const message of this.#early.splice(0)) this.#pass(message)
      this.#webSocket.resume()
    })
  }

  write(bytes: Uint8Array, slab?: Slab): void {
    if (this.#state === 'ending' || this.#state === 'over' || bytes.length === 0) return
    if (bytes.length <= SMALL_WRITE_BYTES && (this.#isCorked || this.#isBehind)) {
      // A copy, as it stays here for a while and the slab's owner may go on before that.
      this.#gather(slab === undefined ? bytes : Buffer.from(bytes))
      if (!this.#isCorked) this.#owesDrained = true
      return
    }
    this.#sendGathered()
    const backlog = this.#isCorked ? this.#backlogBeforeCork : this.#webSocket.bufferedAmount
    const isCopied = backlog > 0 && slab !== undefined && isWorthCopying(bytes, slab)
    const kept = isCopied ? Buffer.from(bytes) : bytes
    for (let at = 0; at < kept.length; at += MAX_MESSAGE_BYTES) {
      this.#send(kept.subarray(at, at + MAX_MESSAGE_BYTES), isCopied ? undefined : slab)
    }
    if (!this.#isCorked && this.#webSocket.bufferedAmount > 0) this.#owesDrained = true
  }

  writeSoon(bytes: Uint8Array): void {
    if (this.#state === 'ending' || this.#state === 'over') return
    this.#gather(bytes)
    if (this.#isCorked || this.#isTurnEndDue) return
    this.#isTurnEndDue = true
    setImmediate(endTurn, this)
  }

  /** For endTurn(). */
  turnEnded(): void {
    this.#isTurnEndDue = false
    if (this.#isCorked || this.#state !== 'open') return
    if (this.#isBehind) {
      this.#owesDrained = true
      return
    }
    this.#sendGathered()
    if (this.#webSocket.bufferedAmount > 0) this.#owesDrained = true
  }

  cork(): void {
    if (this.#isCorked) return
    this.#backlogBeforeCork = this.#webSocket.bufferedAmount
    this.#isCorked = true
    this.#socket.cork()
  }

  uncork(): void {
    if (!this.#isCorked) return
    if (!this.#isBehind) this.#sendGathered()
    this.#isCorked = false
    this.#socket.uncork()
    if (this.queuedBytes > 0) this.#owesDrained = true
    else this.#ledger.letGo() // as in SocketPipe
  }

  established(trafficClass: TrafficClass): void {
    const tell = this.#onEstablished
    this.#onEstablished = undefined
    tell?.(trafficClass)
  }

  pause(): void {
    if (this.#state === 'open') this.#webSocket.pause()
  }

  resume(): void {
    if (this.#state === 'open') this.#webSocket.resume()
  }

  end(): void {
    if (this.#state === 'ending' || this.#state === 'over') return
    this.#state = 'ending'
    this.#early = []
    this.#sendGathered() // behind close() it would be dropped without a word
    this.#webSocket.close(1000)
    this.#webSocket.resume()
    const timer = setTimeout(() => this.#webSocket.terminate(), END_MS)
    timer.unref()
    this.#webSocket.once('close', () => clearTimeout(timer))
  }

  destroy(): void {
    this.#webSocket.terminate()
  }

  /**
   * Others wait before what is given now: a few bytes can wait in one message with what comes after, instead of being
   * one for themselves. There is a write whose end will be told, and then they leave.
   */
  get #isBehind(): boolean {
    return !this.#ledger.isEmpty && this.#webSocket.bufferedAmount > 0
  }

  #gather(bytes: Uint8Array): void {
    if (this.#gatheredBytes + bytes.length > MAX_MESSAGE_BYTES) this.#sendGathered()
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.length
  }

  #sendGathered(): void {
    if (this.#gatheredBytes === 0) return
    const [only] = this.#gathered
    const message = this.#gathered.length === 1 ? (only as Uint8Array) : Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#send(message, undefined)
  }

  /**
   * Once a peer closes, ws writes nothing any more and calls back at once, before the writes that wait in
   * the socket: their slabs would be given back, filled for others, and sent. So the pipe ends.
   */
  #send(message: Uint8Array, slab: Slab | undefined): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return this.#webSocket.terminate()
    this.#ledger.push(slab)
    this.#webSocket.send(message, sendOptions, this.#handleWritten)
  }

  readonly #handleMessage = (data: unknown, isBinary: boolean): void => {
    if (!isBinary || !Buffer.isBuffer(data)) {
      this.#error = new Error('a text message, where links are binary')
      this.#webSocket.terminate()
    } else if (this.#state === 'idle') this.#early.push(data)
    else this.#pass(data)
  }

  #pass(message: Buffer): void {
    if (this.#state !== 'open' || message.length === 0) return
    const slab = new Slab(message)
    this.#events?.data(slab, 0, message.length)
    slab.release()
  }

  readonly #handleWritten = (): void => {
    if (this.#state === 'over' || this.#ledger.isEmpty) return
    if (!this.#ledger.shift()) return
    if (this.#gatheredBytes > 0 && !this.#isCorked) return this.#sendGathered()
    if (!this.#owesDrained || this.queuedBytes > 0) return
    this.#owesDrained = false
    if (this.#state === 'open') this.#events?.drained()
  }

  readonly #handleClose = (): void => {
    this.#state = 'over'
    this.#early = []
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#ledger.clear()
    this.#events?.closed(this.#error)
  }
}

/** One function for all pipes, not a closure each. */
function endTurn(pipe: WebSocketPipe): void {
  pipe.turnEnded()
}

const sendOptions = { binary: true, compress: false } as const

/** Zero masks: the XOR that masks exist for is skipped. Only inside TLS, where no proxy reads along. */
export function zeroMask(mask: Buffer): void {
  mask.fill(0)
}
