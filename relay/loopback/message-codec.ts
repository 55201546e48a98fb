/**
 * How a message lies in a stream: 4 bytes of length (big-endian), then msgpack. What comes is
 * another's: it is bounded in length, depth and kind before it is decoded. Used by messages.ts.
 */
import { Slab } from '../pipe/slab.ts'
import { HEADER_BYTES } from '../wire/index.ts'
import { isPlainMsgpack } from '../wire/msgpack-shape.ts'
import { packr } from '../wire/packr.ts'

/** Longest message, bytes on the wire without its length. */
export const MAX_MESSAGE_BYTES = 1024 * 1024
const LENGTH_BYTES = 4

/** Turns the bytes of a stream into messages, however they were cut. Pure. */
export class MessageDecoder {
  readonly #onMessage: (message: unknown) => void
  /** What has come of a message that is not whole, at its beginning; it grows with what comes, not with what is announced. */
  #held: Buffer = Buffer.alloc(0)
  #heldBytes = 0
  /** Bytes until more can be said: a length, or a length and its message. */
  #neededBytes = LENGTH_BYTES

  constructor(onMessage: (message: unknown) => void) {
    this.#onMessage = onMessage
  }

  /** True between two messages. */
  get isClean(): boolean {
    return this.#heldBytes === 0
  }

  /** Takes bytes in and keeps none of them. Throws RangeError for a message that is too long or is not plain msgpack. */
  push(bytes: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#hold(bytes.subarray(this.#decode(bytes)))
      return
    }
    this.#hold(bytes)
    if (this.#heldBytes < this.#neededBytes) return
    const all = this.#held.subarray(0, this.#heldBytes)
    this.#held = Buffer.alloc(0)
    this.#heldBytes = 0
    this.#hold(all.subarray(this.#decode(all)))
  }

  /** Doubles the buffer when it is full, so that a message in single bytes costs no more than one in large parts. */
  #hold(bytes: Buffer): void {
    const size = this.#heldBytes + bytes.length
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, 2 * this.#held.length))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = size
  }

  /** Answers where the message begins that is not whole. */
  #decode(all: Buffer): number {
    let at = 0
    this.#neededBytes = LENGTH_BYTES
    while (all.length - at >= LENGTH_BYTES) {
      const length = all.readUInt32BE(at)
      if (length > MAX_MESSAGE_BYTES) {
        throw new RangeError(`a message of ${length} bytes came, allowed are ${MAX_MESSAGE_BYTES}`)
      }
      this.#neededBytes = LENGTH_BYTES + length
      if (all.length - at < this.#neededBytes) break
      const body = all.subarray(at + LENGTH_BYTES, at + this.#neededBytes)
      // Not by the decoder: it makes room for as many entries as a list says it has, and runs extensions.
      if (!isPlainMsgpack(body)) {
        throw new RangeError(
          'a message is not plain msgpack: texts, numbers, lists and maps, four deep at most',
        )
      }
      at += this.#neededBytes
      this.#neededBytes = LENGTH_BYTES
      this.#onMessage(packr.unpack(body))
    }
    return at
  }
}

/** A message as it goes into a stream: a slab with room for a header, then length and message. Throws RangeError when too long. */
export function encodeMessage(message: unknown): Slab {
  const body = packr.pack(message)
  if (body.length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`a message has ${body.length} bytes, allowed are ${MAX_MESSAGE_BYTES}`)
  }
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + LENGTH_BYTES + body.length)
  bytes.writeUInt32BE(body.length, HEADER_BYTES)
  body.copy(bytes, HEADER_BYTES + LENGTH_BYTES)
  return new Slab(bytes)
}
