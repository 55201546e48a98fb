/**
 * Turns the bytes of a link into frames, however they were cut. A DATA frame is handed on in
 * the parts in which it arrives, each of them as good as a frame of its own, so that a relay
 * never waits for the rest; any other frame is handed on whole. Used by both ends of a link.
 */
import { violation } from './errors.ts'
import {
  FrameType,
  HEADER_BYTES,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
  MAX_HANDSHAKE_BYTES,
  readOffset,
  ruleOf,
} from './header.ts'

/** What gets the frames. `Source` is whatever the bytes lie in; the decoder only passes it through. */
export interface FrameHandler<Source> {
  /**
   * Bytes `start` to `end` of `bytes` belong to stream `label` at `offset`. `headerAt` is
   * where a 16-byte header lies directly before `start` in the same buffer (its length may
   * be that of a longer frame), or -1 when there is none there.
   */
  handleData(
    label: number,
    offset: number,
    bytes: Buffer,
    start: number,
    end: number,
    headerAt: number,
    source: Source,
  ): void
  /** A frame that is only a header, lying at `headerAt` of `bytes`. May be rewritten in place. */
  handleSignal(
    type: number,
    label: number,
    offset: number,
    bytes: Buffer,
    headerAt: number,
    source: Source,
  ): void
  /** A frame with a payload that is not stream bytes. `payload` is valid until the call returns. */
  handleControl(type: number, label: number, offset: number, payload: Buffer): void
}

/** Where the decoder stands between two reads. */
type Position = 'header' | 'data' | 'control'

/** One direction of one link. */
export class FrameDecoder<Source> {
  #position: Position = 'header'
  /** Where a header is gathered that came in two reads; made for the first one that does. */
  #header: Buffer | undefined
  #headerHave = 0
  #type = 0
  #label = 0
  #offset = 0
  #remaining = 0
  #control: Buffer | undefined
  #controlHave = 0
  #maxControlBytes = MAX_HANDSHAKE_BYTES
  #stopped = false

  /** Before this, a frame's payload may have at most MAX_HANDSHAKE_BYTES and DATA is refused. */
  allowAll(): void {
    this.#maxControlBytes = MAX_CONTROL_BYTES
  }

  /** Nothing more is handed on, not even the rest of the buffer that is being decoded. */
  stop(): void {
    this.#stopped = true
  }

  /** Decodes `bytes` from `start` to `end`. Throws RelayError `violation` for what no frame may be. */
  push(bytes: Buffer, start: number, end: number, source: Source, handler: FrameHandler<Source>): void {
    let at = start
    while (at < end && !this.#stopped) {
      if (this.#position === 'data') at = this.#passData(bytes, at, end, -1, source, handler)
      else if (this.#position === 'control') at = this.#gatherControl(bytes, at, end, handler)
      else at = this.#readHeader(bytes, at, end, source, handler)
    }
  }

  #readHeader(bytes: Buffer, at: number, end: number, source: Source, handler: FrameHandler<Source>): number {
    if (this.#headerHave === 0 && end - at >= HEADER_BYTES) {
      this.#parse(bytes, at)
      return this.#begin(bytes, at, at + HEADER_BYTES, end, source, handler)
    }
    const taken = Math.min(HEADER_BYTES - this.#headerHave, end - at)
    this.#header ??= Buffer.alloc(HEADER_BYTES)
    bytes.copy(this.#header, this.#headerHave, at, at + taken)
    this.#headerHave += taken
    if (this.#headerHave < HEADER_BYTES) return at + taken
    this.#headerHave = 0
    this.#parse(this.#header, 0)
    return this.#begin(bytes, -1, at + taken, end, source, handler)
  }

  #parse(bytes: Buffer, at: number): void {
    const word = bytes.readUInt32BE(at)
    this.#type = word >>> 24
    this.#remaining = word & 0xff_ffff
    this.#label = bytes.readUInt32BE(at + 4)
    this.#offset = readOffset(bytes, at)
  }

  #begin(
    bytes: Buffer,
    headerAt: number,
    at: number,
    end: number,
    source: Source,
    handler: FrameHandler<Source>,
  ): number {
    const type = this.#type
    const length = this.#remaining
    if (type === FrameType.data) {
      if (this.#label === 0 || length === 0 || length > MAX_DATA_BYTES) {
        throw violation(
          `DATA of ${length} bytes on label ${this.#label}, allowed 1 to ${MAX_DATA_BYTES} on a label`,
        )
      }
      if (this.#maxControlBytes !== MAX_CONTROL_BYTES) throw violation('DATA before the handshake was done')
      if (at === end) {
        this.#position = 'data'
        return at
      }
      return this.#passData(bytes, at, end, headerAt, source, handler)
    }
    this.#assertAllowed(type, length)
    if (length === 0) {
      if (ruleOf(type)?.payload !== 'none')
        handler.handleControl(type, this.#label, this.#offset, bytes.subarray(at, at))
      else if (headerAt >= 0) handler.handleSignal(type, this.#label, this.#offset, bytes, headerAt, source)
      else {
        // The header was gathered from two reads: it lies in no buffer of the source's, so a
        // copy stands in that whoever forwards it may keep.
        handler.handleSignal(type, this.#label, this.#offset, Buffer.from(this.#header as Buffer), 0, source)
      }
      return at
    }
    if (end - at >= length) {
      handler.handleControl(type, this.#label, this.#offset, bytes.subarray(at, at + length))
      return at + length
    }
    this.#position = 'control'
    this.#control = Buffer.allocUnsafeSlow(length)
    this.#controlHave = 0
    return at
  }

  #assertAllowed(type: number, length: number): void {
    const rule = ruleOf(type)
    if (rule === undefined) throw violation(`frame type 0x${type.toString(16)} is not known`)
    if ((rule.scope === 'link') !== (this.#label === 0)) {
      throw violation(`${rule.name} on label ${this.#label}, it belongs to the ${rule.scope}`)
    }
    const allowed = rule.payload === 'none' ? 0 : this.#maxControlBytes
    if (length > allowed) throw violation(`${rule.name} of ${length} bytes, allowed ${allowed}`)
  }

  #passData(
    bytes: Buffer,
    at: number,
    end: number,
    headerAt: number,
    source: Source,
    handler: FrameHandler<Source>,
  ): number {
    const part = Math.min(this.#remaining, end - at)
    const offset = this.#offset
    this.#remaining -= part
    this.#offset += part
    this.#position = this.#remaining === 0 ? 'header' : 'data'
    handler.handleData(this.#label, offset, bytes, at, at + part, headerAt, source)
    return at + part
  }

  #gatherControl(bytes: Buffer, at: number, end: number, handler: FrameHandler<Source>): number {
    const control = this.#control as Buffer // set with the position
    const taken = Math.min(control.length - this.#controlHave, end - at)
    bytes.copy(control, this.#controlHave, at, at + taken)
    this.#controlHave += taken
    if (this.#controlHave === control.length) {
      this.#position = 'header'
      this.#control = undefined
      handler.handleControl(this.#type, this.#label, this.#offset, control)
    }
    return at + taken
  }
}
