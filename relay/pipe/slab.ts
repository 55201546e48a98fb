/**
 * Pooled read buffers with reference counts: what comes in on one socket goes out on
 * another without a copy, and the buffer returns to its pool when the last slice of it is
 * written. Used by every pipe; nobody else allocates on the hot path.
 */

/** One pooled buffer. Born with one reference, which its reader holds. */
export class Slab {
  readonly bytes: Buffer
  readonly #pool: SlabPool | undefined
  #references = 1

  constructor(bytes: Buffer, pool?: SlabPool) {
    this.bytes = bytes
    this.#pool = pool
  }

  /** What stays in memory with any slice of it, bytes: `bytes` may be a part of what another reader has read. */
  get pinnedBytes(): number {
    return this.bytes.buffer.byteLength
  }

  retain(): void {
    this.#references += 1
  }

  release(): void {
    this.#references -= 1
    if (this.#references === 0) this.#pool?.give(this)
    else if (this.#references < 0) throw new Error('slab released more often than retained')
  }

  /** Only the holder of the last reference may write over what others would still read. */
  get isShared(): boolean {
    return this.#references > 1
  }

  /** The pool's way to hand it out again. */
  reborn(): this {
    this.#references = 1
    return this
  }
}

/** What lay unused for this long, ms, is let go. */
const UNUSED_MS = 2_000

/**
 * Buffers of one size. Those that come back are kept for the next: an allocation of this size
 * costs page faults, and its weight drives V8 into full collections (a quarter of a busy
 * sender's CPU time). What nobody has needed for a while is left to the collector.
 */
export class SlabPool {
  readonly slabBytes: number
  readonly #keep: number
  readonly #free: Slab[] = []
  #out = 0
  /** Fewest that were unused at one time since the timer was set: nobody needed those. */
  #leastFree = 0
  #timer: NodeJS.Timeout | undefined

  /** `slabBytes`: size of each buffer. `keep`: unused ones to hold on to, however long. */
  constructor(slabBytes: number, keep: number) {
    this.slabBytes = slabBytes
    this.#keep = keep
  }

  take(): Slab {
    this.#out += 1
    const slab = this.#free.pop()
    if (this.#free.length < this.#leastFree) this.#leastFree = this.#free.length
    return slab?.reborn() ?? new Slab(Buffer.allocUnsafeSlow(this.slabBytes), this)
  }

  give(slab: Slab): void {
    this.#out -= 1
    this.#free.push(slab)
    if (this.#timer === undefined && this.#free.length > this.#keep) this.#watch()
  }

  #watch(): void {
    this.#leastFree = this.#free.length
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#free.splice(0, Math.max(0, Math.min(this.#leastFree, this.#free.length - this.#keep)))
      if (this.#free.length > this.#keep) this.#watch()
    }, UNUSED_MS)
    this.#timer.unref()
  }

  /** Slabs handed out and not returned: what is pinned, `× slabBytes` bytes. */
  get outstanding(): number {
    return this.#out
  }
}
