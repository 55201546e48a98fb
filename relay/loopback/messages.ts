/**
 * Whole messages over a stream, as message-codec.ts writes and reads them. The stream
 * outlives links, so the channel does too. Used for control streams by lane.ts; what the
 * messages say is the business of shim and agent.
 */
import type { LocalSide, StreamHandle } from '../endpoint/types.ts'
import type { Slab } from '../pipe/slab.ts'
import { HEADER_BYTES, type ResetReason } from '../wire/index.ts'
import { encodeMessage, MessageDecoder } from './message-codec.ts'
import type { MessageChannel } from './tunnel-types.ts'

/** What waits for a peer that does not read, at most. Beyond it the channel fails. */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024

/** waiting: not opened or no room; messages queue. closing: close() was called. over: nothing moves. */
type ChannelState = 'waiting' | 'flowing' | 'closing' | 'over'

export class StreamChannel implements MessageChannel, LocalSide {
  readonly peer: string
  readonly #onOver: (() => void) | undefined
  #handle: StreamHandle | undefined
  #state: ChannelState = 'waiting'
  #isOpen = false
  #hasRoom = true
  #queue: Slab[] = []
  #queuedBytes = 0
  readonly #decoder = new MessageDecoder((message) => this.#handleMessage(message))
  #messageHandler: ((message: unknown) => void) | undefined
  /** What came before there was a handler, and its bytes. */
  #unheard: unknown[] = []
  #unheardBytes = 0
  #endHandler: ((error: Error | undefined) => void) | undefined
  #end: { readonly error: Error | undefined } | undefined

  /** `onOver`: both directions have ended; for whoever keeps count of channels. */
  constructor(peer: string, onOver?: () => void) {
    this.peer = peer
    this.#onOver = onOver
  }

  /** The handle of the stream whose local side this is. An accepted stream is open at once. */
  bind(handle: StreamHandle, isOpen: boolean): void {
    this.#handle = handle
    if (isOpen) this.opened()
  }

  send(message: unknown): void {
    const slab = encodeMessage(message)
    if (this.#state === 'over' || this.#state === 'closing') return // its end has been told, or will be
    this.#queue.push(slab)
    this.#queuedBytes += slab.bytes.length
    if (this.#queuedBytes > MAX_QUEUED_BYTES) {
      this.#fail(new Error(`${this.peer} does not read its messages: ${this.#queuedBytes} bytes wait for it`))
    } else this.#flush()
  }

  onMessage(handler: (message: unknown) => void): void {
    this.#messageHandler = handler
    const unheard = this.#unheard
    this.#unheard = []
    this.#unheardBytes = 0
    for (const message of unheard) handler(message)
  }

  onEnd(handler: (error: Error | undefined) => void): void {
    this.#endHandler = handler
    if (this.#end !== undefined) queueMicrotask(() => handler(this.#end?.error))
  }

  close(): void {
    if (this.#state === 'over' || this.#state === 'closing') return
    this.#state = 'closing'
    this.#flush()
  }

  opened(): void {
    this.#isOpen = true
    if (this.#state === 'waiting') this.#state = 'flowing'
    this.#flush()
  }

  writable(): void {
    this.#hasRoom = true
    this.#flush()
  }

  deliver(bytes: Buffer, start: number, end: number): void {
    if (this.#state === 'over') return
    try {
      this.#decoder.push(bytes.subarray(start, end))
    } catch (error) {
      this.#fail(
        new Error(`${this.peer} sent what is no message: ${(error as Error).message}`, { cause: error }),
      )
      return
    }
    if (this.#messageHandler === undefined) this.#unheardBytes += end - start
    if (this.#unheardBytes > MAX_QUEUED_BYTES) {
      this.#fail(new Error(`${this.peer} sends what nobody here takes: ${this.#unheardBytes} bytes`))
    } else this.#handle?.delivered(end - start)
  }

  ended(): void {
    if (this.#decoder.isClean) this.#tellEnd(undefined)
    else this.#tellEnd(new Error(`${this.peer} ended in the middle of a message`))
    this.close()
  }

  reset(reason: ResetReason): void {
    this.#enterOver()
    this.#tellEnd(new Error(`the control stream with ${this.peer} was reset: ${reason}`))
  }

  closed(): void {
    this.#enterOver()
    this.#tellEnd(undefined)
  }

  #handleMessage(message: unknown): void {
    if (this.#messageHandler !== undefined) this.#messageHandler(message)
    else if (this.#state !== 'closing') this.#unheard.push(message) // closed unheard: nobody will ask
  }

  #flush(): void {
    if (!this.#isOpen || this.#state === 'over') return
    while (this.#hasRoom) {
      const slab = this.#queue.shift()
      if (slab === undefined) break
      this.#queuedBytes -= slab.bytes.length
      this.#hasRoom = this.#handle?.send(slab, HEADER_BYTES, slab.bytes.length) ?? false
    }
    if (this.#state === 'closing' && this.#queue.length === 0) this.#handle?.end()
  }

  #fail(error: Error): void {
    const handle = this.#handle
    this.#enterOver()
    handle?.reset('aborted')
    this.#tellEnd(error)
  }

  #enterOver(): void {
    if (this.#state !== 'over') this.#onOver?.()
    this.#state = 'over'
    this.#queue = []
    this.#queuedBytes = 0
  }

  #tellEnd(error: Error | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#endHandler?.(error)
  }
}
