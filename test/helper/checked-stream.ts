/**
 * Streams whose bytes are checked as they come: every byte by its offset, all of them by SHA-256,
 * and the longest time in which nothing came while the sender had not finished. Paced, so that a
 * pause is the network's and not a full machine's. For tests that break things under load.
 */
import { createHash, createHmac } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { LocalSide, StreamHandle } from '../../relay/endpoint/index.ts'
import { Slab } from '../../relay/pipe/slab.ts'
import type { ResetReason } from '../../relay/wire/errors.ts'
import { HEADER_BYTES } from '../../relay/wire/header.ts'

const PATTERN_BYTES = 1 << 20

/** Bytes that repeat only after a MiB, different for each name. */
function patternOf(name: string): Buffer {
  const blocks: Buffer[] = []
  for (let i = 0; i < PATTERN_BYTES / 32; i++)
    blocks.push(createHmac('sha256', name).update(String(i)).digest())
  return Buffer.concat(blocks)
}

/** What one direction of a checked stream came to. */
export interface Received {
  readonly bytes: number
  readonly sha256: string
  /** Longest pause between two deliveries, from the opening to the FIN, ms. */
  readonly longestStallMs: number
}

/** One end: sends its own pattern until `finish`, checks the other end's. */
export class CheckedEnd implements LocalSide {
  readonly name: string
  state: 'open' | 'closed' | 'reset' = 'open'
  resetReason: ResetReason | undefined
  /** First byte that was not the one that should have come; undefined: none. */
  wrongAt: number | undefined
  readonly over: Promise<void>
  #end: () => void = () => {}
  #handle: StreamHandle | undefined
  readonly #sends: Buffer
  readonly #expects: Buffer
  readonly #chunkBytes: number
  readonly #sentHash = createHash('sha256')
  readonly #receivedHash = createHash('sha256')
  sentBytes = 0
  #receivedBytes = 0
  #hasRoom = true
  #isFinishing = false
  readonly #timer: NodeJS.Timeout
  #lastMs: number | undefined
  #longestMs = 0
  #hasEnded = false

  /** `sends` and `expects` name patterns. `bytesPerSecond`: how fast it sends, 0 for nothing. */
  constructor(name: string, sends: string, expects: string, bytesPerSecond: number) {
    this.name = name
    this.#sends = patternCached(sends)
    this.#expects = patternCached(expects)
    this.#chunkBytes = Math.max(1, Math.round(bytesPerSecond / 50))
    this.over = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#timer = setInterval(() => this.#send(), 20)
    if (bytesPerSecond === 0) clearInterval(this.#timer)
  }

  begin(handle: StreamHandle): void {
    this.#handle = handle
  }

  get received(): Received {
    return {
      bytes: this.#receivedBytes,
      sha256: this.#receivedHash.copy().digest('hex'),
      longestStallMs: Math.max(this.#longestMs, this.#hasEnded ? 0 : this.#stillMs()),
    }
  }
  get sentSha256(): string {
    return this.#sentHash.copy().digest('hex')
  }

  /** Forgets pauses so far. */
  restartStall(): void {
    this.#longestMs = 0
  }

  /** Sends no more: FIN. */
  finish(): void {
    this.#isFinishing = true
    clearInterval(this.#timer)
    this.#handle?.end()
  }

  #stillMs(): number {
    return this.#lastMs === undefined ? 0 : performance.now() - this.#lastMs
  }

  #send(): void {
    if (!this.#hasRoom || this.#isFinishing || this.#handle === undefined || this.state !== 'open') return
    const length = Math.min(this.#chunkBytes, PATTERN_BYTES)
    const slab = new Slab(Buffer.allocUnsafe(HEADER_BYTES + length))
    let at = HEADER_BYTES
    while (at < slab.bytes.length) {
      const from = (this.sentBytes + at - HEADER_BYTES) % PATTERN_BYTES
      at += this.#sends.copy(slab.bytes, at, from, Math.min(PATTERN_BYTES, from + slab.bytes.length - at))
    }
    this.#sentHash.update(slab.bytes.subarray(HEADER_BYTES))
    this.sentBytes += length
    this.#hasRoom = this.#handle.send(slab, HEADER_BYTES, slab.bytes.length)
  }

  // ---- LocalSide ----

  opened(): void {
    this.#lastMs = performance.now()
  }
  deliver(bytes: Buffer, start: number, end: number): void {
    this.#longestMs = Math.max(this.#longestMs, this.#stillMs())
    this.#lastMs = performance.now()
    const part = bytes.subarray(start, end)
    this.#check(part)
    this.#receivedHash.update(part)
    this.#receivedBytes += part.length
    queueMicrotask(() => this.#handle?.delivered(part.length))
  }
  #check(part: Buffer): void {
    let done = 0
    while (done < part.length && this.wrongAt === undefined) {
      const from = (this.#receivedBytes + done) % PATTERN_BYTES
      const length = Math.min(part.length - done, PATTERN_BYTES - from)
      if (part.compare(this.#expects, from, from + length, done, done + length) !== 0)
        this.wrongAt = this.#receivedBytes + done
      done += length
    }
  }
  ended(): void {
    this.#longestMs = Math.max(this.#longestMs, this.#stillMs())
    this.#hasEnded = true
  }
  writable(): void {
    this.#hasRoom = true
  }
  reset(reason: ResetReason): void {
    this.state = 'reset'
    this.resetReason = reason
    clearInterval(this.#timer)
    this.#end()
  }
  closed(): void {
    this.state = 'closed'
    clearInterval(this.#timer)
    this.#end()
  }
}

const patterns = new Map<string, Buffer>()
function patternCached(name: string): Buffer {
  let pattern = patterns.get(name)
  if (pattern === undefined) {
    pattern = patternOf(name)
    patterns.set(name, pattern)
  }
  return pattern
}
