/**
 * Bytes that say where they belong: a direction of a stream is a row of 8-byte words, each its own
 * number and the stream's tag. Whoever receives them sees at once what is missing, twice, or another's.
 */

const WORD = 8

/** The bytes `from` to `to` (offsets in the direction) of direction `direction` of stream `tag`. */
export function numberedBytes(tag: number, direction: 0 | 1, from: number, to: number): Buffer {
  const firstWord = Math.floor(from / WORD)
  const words = new Uint32Array(2 * (Math.ceil(to / WORD) - firstWord))
  const mark = tag * 2 + direction
  for (let i = 0; i < words.length; i += 2) {
    words[i] = firstWord + i / 2
    words[i + 1] = mark
  }
  const skip = from - firstWord * WORD
  return Buffer.from(words.buffer, skip, to - from)
}

/** The tag in the first word of a direction. */
export function tagOf(firstWord: Buffer): number {
  return Math.floor(firstWord.readUInt32LE(4) / 2)
}

export const TAG_BYTES = WORD
