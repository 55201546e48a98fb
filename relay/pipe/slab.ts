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

/** Buffers of one size. Keeps at most `keep` unused ones; the rest is left to the collector. */
export class SlabPool {
  readonly slabBytes: number
  readonly #keep: number
  readonly #free: Slab[] = []
  #out = 0

  /** `slabBytes`: size of each buffer. `keep`: unused ones to hold on to. */
  constructor(slabBytes: number, keep: number) {
    this.slabBytes = slabBytes
    this.#keep = keep
  }

  take(): Slab {
    this.#out += 1
    return this.#free.pop()?.reborn() ?? new Slab(Buffer.allocUnsafeSlow(this.slabBytes), this)
  }

  give(slab: Slab): void {
    this.#out -= 1
    if (this.#free.length < this.#keep) this.#free.push(slab)
  }

  /** Slabs handed out and not returned: what is pinned, `× slabBytes` bytes. */
  get outstanding(): number {
    return this.#out
  }
}
