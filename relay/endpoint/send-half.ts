/**
 * The sending half of a stream: bytes that the local program gave us, kept until the peer has
 * acknowledged them, and how far they may go. Offsets are absolute, counted from the first
 * byte of this direction. Pure: it touches no link; stream.ts carries out what it decides.
 *
 *   ackedTo  <=  sentTo  <=  writtenTo        sentTo <= limit
 */
import type { Slab } from '../pipe/slab.ts'
import { violation } from '../wire/errors.ts'

/** A run of bytes in a slab. Our reference to the slab is released when all of it is acknowledged. */
interface Chunk {
  readonly slab: Slab
  readonly start: number
  readonly end: number
  /** Offset of the byte at `start`. */
  readonly offset: number
}

/** Bytes to put on a link now: `slab.bytes` from `start` to `end`. */
export interface Part {
  slab: Slab
  start: number
  end: number
  offset: number
  /** The 16 bytes before `start` are ours to write a header into: nobody else reads them. */
  headroom: boolean
}

/** open: more may be written. ending: FIN follows the last byte. ended: the peer has the FIN. dead: reset. */
export type SendState = 'open' | 'ending' | 'ended' | 'dead'

export class SendHalf {
  #state: SendState = 'open'
  #chunks: Chunk[] = []
  /** Index of the oldest unacknowledged chunk; those before are let go in bulk. */
  #head = 0
  /** Index of the chunk that holds the byte at #sentTo. */
  #cursor = 0
  #ackedTo = 0
  #sentTo = 0
  #writtenTo = 0
  /** Highest offset ever sent. Below it, bytes may still lie in the queue of an older link. */
  #touchedTo = 0
  #limit: number
  /** On the route of now. */
  #finSent = false
  /** On whichever route. */
  #finWasSent = false
  readonly #part: Part

  /** `limit`: credit to begin with, an absolute offset. */
  constructor(limit: number, nothing: Slab) {
    this.#limit = limit
    this.#part = { slab: nothing, start: 0, end: 0, offset: 0, headroom: false }
  }

  get state(): SendState {
    return this.#state
  }
  get limit(): number {
    return this.#limit
  }
  get sentTo(): number {
    return this.#sentTo
  }
  /** Bytes kept for a replay or not sent yet. */
  get keptBytes(): number {
    return this.#writtenTo - this.#ackedTo
  }
  get unsentBytes(): number {
    return this.#writtenTo - this.#sentTo
  }
  /** Bytes that could go out now. */
  get sendableBytes(): number {
    return Math.min(this.#limit, this.#writtenTo) - this.#sentTo
  }
  /** The FIN could go out now. */
  get canSendFin(): boolean {
    return this.#state === 'ending' && !this.#finSent && this.#sentTo === this.#writtenTo
  }
  get finOffset(): number {
    return this.#writtenTo
  }

  /** Takes over the caller's reference to `slab`. Only in state `open`. */
  push(slab: Slab, start: number, end: number): void {
    this.#chunks.push({ slab, start, end, offset: this.#writtenTo })
    this.#writtenTo += end - start
  }

  /** No more bytes follow. */
  finish(): void {
    if (this.#state === 'open') this.#state = 'ending'
  }

  /**
   * The next bytes to send, at most `most`, never across chunks; undefined when credit or bytes
   * are used up. The result is reused by the next call.
   */
  take(most: number): Part | undefined {
    const sendable = this.sendableBytes
    if (sendable <= 0) return undefined
    const chunk = this.#chunks[this.#cursor] as Chunk // sendable > 0: there is one
    const start = chunk.start + (this.#sentTo - chunk.offset)
    const end = Math.min(chunk.end, start + Math.min(most, sendable))
    const part = this.#part
    part.slab = chunk.slab
    part.start = start
    part.end = end
    part.offset = this.#sentTo
    // In place only before the very first byte of a chunk, and only once: what lies before any
    // other byte is payload that an older write may still be reading.
    part.headroom = start === chunk.start && this.#sentTo >= this.#touchedTo
    this.#sentTo += end - start
    if (this.#sentTo > this.#touchedTo) this.#touchedTo = this.#sentTo
    if (end === chunk.end) this.#cursor += 1
    return part
  }

  /** The FIN went out. */
  markFinSent(): void {
    this.#finSent = true
    this.#finWasSent = true
  }

  /** The peer has everything below `offset`. Returns the bytes let go. Throws `violation` for bytes never sent. */
  ackTo(offset: number): number {
    if (offset > this.#sentTo) throw violation(`ACK to ${offset}, sent only to ${this.#sentTo}`)
    const before = this.#ackedTo
    if (offset <= before) return 0
    this.#ackedTo = offset
    while (this.#head < this.#cursor) {
      const chunk = this.#chunks[this.#head] as Chunk
      if (chunk.offset + (chunk.end - chunk.start) > offset) break
      chunk.slab.release()
      this.#head += 1
    }
    if (this.#head > 64 && this.#head * 2 > this.#chunks.length) this.#compact()
    return offset - before
  }

  /**
   * The peer has the FIN, and with it every byte. It may have come over an older route, and be confirmed
   * again on a new one before it could be sent there. Returns the bytes let go. Throws `violation` when
   * none was sent.
   */
  finAcked(offset: number): number {
    if (!this.#finWasSent || offset !== this.#writtenTo)
      throw violation(`FIN_ACK at ${offset}, FIN sent: ${this.#finWasSent}`)
    const released = this.ackTo(offset)
    this.#state = 'ended'
    return released
  }

  /** New credit. Only ever grows, but for `lowerLimit` and `resumeFrom`. Returns whether it grew. */
  raiseLimit(limit: number): boolean {
    if (limit <= this.#limit) return false
    this.#limit = limit
    return true
  }

  /** Hands credit back, down to `wanted` at best; returns the limit that now holds. */
  lowerLimit(wanted: number): number {
    this.#limit = Math.min(this.#limit, Math.max(wanted, this.#sentTo))
    return this.#limit
  }

  /**
   * On a new route: the peer has `received` bytes and allows `limit`. What it lacks is sent again.
   * Returns [bytes let go, bytes to replay]. Throws `violation` for offsets that cannot be.
   */
  resumeFrom(received: number, limit: number): [released: number, replay: number] {
    if (received < this.#ackedTo || received > this.#touchedTo) {
      throw violation(`resume at ${received}, acknowledged ${this.#ackedTo}, sent ${this.#touchedTo}`)
    }
    this.#sentTo = Math.max(this.#sentTo, received) // after a second loss sentTo may lie below
    this.#seek(this.#sentTo)
    const released = this.ackTo(received)
    const replay = this.#touchedTo - received
    this.#sentTo = received
    this.#seek(received)
    this.#limit = Math.max(limit, received)
    if (this.#state === 'ending') this.#finSent = false
    return [released, replay]
  }

  /** Lets go of everything. Returns the bytes that were kept. */
  kill(): number {
    const kept = this.keptBytes
    for (let i = this.#head; i < this.#chunks.length; i++) this.#chunks[i]?.slab.release()
    this.#chunks = []
    this.#head = 0
    this.#cursor = 0
    this.#ackedTo = this.#writtenTo
    this.#sentTo = this.#writtenTo
    if (this.#state !== 'ended') this.#state = 'dead'
    return kept
  }

  /** Points the cursor at the chunk that holds `offset`. */
  #seek(offset: number): void {
    let at = this.#head
    while (at < this.#chunks.length) {
      const chunk = this.#chunks[at] as Chunk
      if (chunk.offset + (chunk.end - chunk.start) > offset) break
      at += 1
    }
    this.#cursor = at
  }

  #compact(): void {
    this.#chunks = this.#chunks.slice(this.#head)
    this.#cursor -= this.#head
    this.#head = 0
  }
}
