/**
 * Which slabs the writes of one pipe still need, oldest first: one entry a write, taken off when
 * the kernel has it. Used by the pipes of this folder; loopback's sockets share its rule of copying.
 */
import type { Slab } from './slab.ts'

/**
 * Should these bytes of `slab` be copied when they have to wait? A slice pins all of what it lies
 * in: under an eighth of that, the copy is the smaller price.
 */
export function isWorthCopying(bytes: Uint8Array, slab: Slab): boolean {
  return bytes.length < slab.pinnedBytes / 8
}

/** Below this many finished entries their places are not worth being given back. */
const COMPACT_AT = 1024

export class WriteLedger {
  #entries: (Slab | undefined)[] = []
  #first = 0

  /** A write was handed to the socket. `slab`: retained here until it is done. */
  push(slab: Slab | undefined): void {
    slab?.retain()
    this.#entries.push(slab)
  }

  /** The oldest write is done. True when none is left. */
  shift(): boolean {
    const slab = this.#entries[this.#first]
    this.#entries[this.#first] = undefined
    this.#first += 1
    if (this.#first === this.#entries.length) {
      this.#entries.length = 0
      this.#first = 0
    } else if (this.#first >= COMPACT_AT) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
    slab?.release()
    return this.#entries.length === 0
  }

  /** The kernel has all bytes, though it has not told each write yet: no slab is needed any more. */
  letGo(): void {
    for (let at = this.#first; at < this.#entries.length; at += 1) {
      this.#entries[at]?.release()
      this.#entries[at] = undefined
    }
  }

  /** The pipe is over: lets go of everything. */
  clear(): void {
    this.letGo()
    this.#entries.length = 0
    this.#first = 0
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }
}
