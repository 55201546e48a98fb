/**
 * What a pipe was given in few bytes while more waits before it: copied into blocks, so that a
 * frame of 17 bytes in a queue costs 17 bytes and not an object for each of its parts in Node,
 * some 200 bytes, which no cap counts. Used by the pipes of this folder.
 */

/** A write up to this size is small: copying it costs less than keeping it by itself. */
export const SMALL_WRITE_BYTES = 4 * 1024
const BLOCK_BYTES = 16 * 1024

/** One block at a time: whoever fills it takes it first. */
export class SmallWrites {
  #block: Buffer | undefined
  #length = 0

  /** Bytes in the block. */
  get length(): number {
    return this.#length
  }

  /** Copies `bytes`, at most SMALL_WRITE_BYTES of them. False: there is no room, take() first. */
  add(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > BLOCK_BYTES) return false
    // A block of its own each: what is handed to a socket must not change.
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES)
    this.#block.set(bytes, this.#length)
    this.#length += bytes.length
    return true
  }

  /** All that was added, for one write. Not to be called when there is nothing. */
  take(): Buffer {
    const block = this.#block as Buffer
    const bytes = block.subarray(0, this.#length)
    this.clear()
    return bytes
  }

  clear(): void {
    this.#block = undefined
    this.#length = 0
  }
}
