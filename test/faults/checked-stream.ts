/**
 * One end of a checked stream: sends numbered bytes at a steady pace until it is told to finish,
 * checks and hashes what comes, and measures the longest time in which nothing came. Lives in
 * party-main.ts and crowd-main.ts.
 */
import { createHash } from 'node:crypto'
import type { LocalSide, StreamHandle } from '../../relay/endpoint/index.ts'
import { Slab } from '../../relay/pipe/slab.ts'
import { HEADER_BYTES } from '../../relay/wire/header.ts'
import { numberedBytes, TAG_BYTES, tagOf } from './checked-bytes.ts'

export interface StreamReport {
  /** Undefined at an acceptor that nothing has reached yet. */
  readonly tag: number | undefined
  readonly isOpener: boolean
  readonly class: 'urgent' | 'bulk'
  readonly peer: string
  /** `reset: <reason>` when it was reset. */
  readonly state: string
  readonly sent: number
  readonly sentSha: string | undefined
  readonly received: number
  readonly receivedSha: string | undefined
  /** Offset of the first byte that was not the expected one. */
  readonly wrongAt: number | undefined
  /** Longest time without a byte since the last mark, ms. */
  readonly stallMs: number
}

export interface Pace {
  /** Bytes a turn; 0: only the first word. */
  readonly chunkBytes: number
}

export class CheckedStream implements LocalSide {
  handle: StreamHandle | undefined
  state = 'opening'
  /** A reader that takes nothing: what came is not reported as delivered. */
  isFrozen = false
  readonly isOpener: boolean
  readonly #pace: Pace
  #tag: number | undefined
  #sent = 0
  #received = 0
  #undelivered = 0
  #head = Buffer.alloc(0)
  readonly #sentHash = createHash('sha256')
  readonly #receivedHash = createHash('sha256')
  #sentSha: string | undefined
  #receivedSha: string | undefined
  #wrongAt: number | undefined
  #lastMs = performance.now()
  #stallMs = 0
  #isFull = false
  #isFinishing = false
  readonly #over: (stream: CheckedStream) => void

  /** `tag`: the opener's choice; undefined at the acceptor, who reads it from the first word. */
  constructor(tag: number | undefined, pace: Pace, over: (stream: CheckedStream) => void) {
    this.#tag = tag
    this.isOpener = tag !== undefined
    this.#pace = pace
    this.#over = over
  }

  /** Begins to measure stalls anew. */
  mark(): void {
    this.#stallMs = 0
    this.#lastMs = performance.now()
  }

  /** Sends the next chunk if there is room for it. */
  turn(): void {
    if (this.state !== 'open' || this.#isFinishing || this.#isFull || this.#tag === undefined) return
    const bytes = this.#sent === 0 ? Math.max(TAG_BYTES, this.#pace.chunkBytes) : this.#pace.chunkBytes
    if (bytes > 0) this.#send(bytes)
  }

  /** No more bytes: the last word may be cut, then FIN. */
  finish(): void {
    if (this.#isFinishing) return
    this.#isFinishing = true
    this.#noteGap()
    if (this.state === 'open' && this.#tag !== undefined) this.#end()
  }

  thaw(): void {
    this.isFrozen = false
    const bytes = this.#undelivered
    this.#undelivered = 0
    if (bytes > 0) this.handle?.delivered(bytes)
  }

  report(): StreamReport {
    if (this.state === 'open' && !this.#isFinishing) this.#stallMs = Math.max(this.#stallMs, this.#gap())
    return {
      tag: this.#tag,
      isOpener: this.isOpener,
      class: this.handle?.class ?? 'bulk',
      peer: this.handle?.peer ?? '',
      state: this.state,
      sent: this.#sent,
      sentSha: this.#sentSha,
      received: this.#received,
      receivedSha: this.#receivedSha,
      wrongAt: this.#wrongAt,
      stallMs: this.#stallMs,
    }
  }

  // ---- LocalSide ----

  opened(): void {
    this.state = 'open'
    this.mark()
    this.turn()
    if (this.#isFinishing && this.#tag !== undefined) this.#end()
  }

  deliver(bytes: Buffer, start: number, end: number): void {
    const part = bytes.subarray(start, end)
    this.#noteGap()
    this.#receivedHash.update(part)
    if (this.#tag === undefined) this.#readTag(part)
    else this.#check(part)
    const taken = end - start
    if (this.isFrozen) this.#undelivered += taken
    else queueMicrotask(() => this.handle?.delivered(taken))
  }

  ended(): void {
    this.#receivedSha = this.#receivedHash.digest('hex')
  }

  writable(): void {
    this.#isFull = false
  }

  reset(reason: string): void {
    this.state = `reset: ${reason}`
    this.#over(this)
  }

  closed(): void {
    this.state = 'closed'
    this.#over(this)
  }

  // ---- inside ----

  #readTag(part: Buffer): void {
    this.#head = Buffer.concat([this.#head, part])
    if (this.#head.length < TAG_BYTES) return
    this.#tag = tagOf(this.#head)
    this.#check(this.#head)
    this.#head = Buffer.alloc(0)
    this.turn()
    if (this.#isFinishing) this.#end()
  }

  #check(part: Buffer): void {
    const expected = numberedBytes(
      this.#tag as number,
      this.isOpener ? 1 : 0,
      this.#received,
      this.#received + part.length,
    )
    if (this.#wrongAt === undefined && expected.compare(part) !== 0) this.#wrongAt = this.#received
    this.#received += part.length
  }

  #send(length: number): void {
    const bytes = numberedBytes(this.#tag as number, this.isOpener ? 0 : 1, this.#sent, this.#sent + length)
    const slab = new Slab(Buffer.allocUnsafe(HEADER_BYTES + length))
    bytes.copy(slab.bytes, HEADER_BYTES)
    this.#sentHash.update(bytes)
    this.#sent += length
    if (this.handle?.send(slab, HEADER_BYTES, HEADER_BYTES + length) === false) this.#isFull = true
  }

  #end(): void {
    if (this.#sentSha !== undefined) return
    if (this.#sent === 0) this.#send(TAG_BYTES)
    this.#sentSha = this.#sentHash.digest('hex')
    this.handle?.end()
  }

  #gap(): number {
    return performance.now() - this.#lastMs
  }

  #noteGap(): void {
    if (!this.#isFinishing || this.#receivedSha === undefined) {
      const gap = this.#gap()
      if (gap > this.#stallMs && !this.#isFinishing) this.#stallMs = gap
    }
    this.#lastMs = performance.now()
  }
}
