/**
 * Looks over msgpack bytes before they are decoded, so that the decoder gets nothing but whole,
 * plain values: no extensions, no list that is longer than its bytes, no depth that no frame has.
 * Used by control.ts and by loopback for its messages. Pure.
 */

/** Maps in lists in a map are the deepest that any frame has. */
const MAX_DEPTH = 4

/** Bytes behind a type byte of 0xc0 to 0xdf: a fixed body, or -n: a length of n bytes, then as many. */
const bodies = new Map<number, number>([
  [0xc0, 0], // nil
  [0xc2, 0], // false
  [0xc3, 0], // true
  [0xca, 4], // float
  [0xcb, 8],
  [0xcc, 1], // unsigned
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1], // signed
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
  [0xd9, -1], // string
  [0xda, -2],
  [0xdb, -4],
])

/** True when `bytes` are exactly one value of strings, numbers, booleans, nil, lists and maps, whole and not deeper than frames are. */
export function isPlainMsgpack(bytes: Buffer): boolean {
  return skipValue(bytes, 0, 0) === bytes.length
}

/** Where the value at `at` ends; -1 when it is cut, too deep, or not plain. */
function skipValue(bytes: Buffer, at: number, depth: number): number {
  const type = bytes[at]
  if (type === undefined || depth > MAX_DEPTH) return -1
  if (type <= 0x7f || type >= 0xe0) return at + 1
  if (type <= 0x8f) return skipValues(bytes, at + 1, 2 * (type & 0x0f), depth)
  if (type <= 0x9f) return skipValues(bytes, at + 1, type & 0x0f, depth)
  if (type <= 0xbf) return within(bytes, at + 1 + (type & 0x1f))
  if (type >= 0xdc) {
    const sizeBytes = type % 2 === 0 ? 2 : 4 // 0xdc, 0xde: 16 bits; 0xdd, 0xdf: 32 bits
    if (at + 1 + sizeBytes > bytes.length) return -1
    const count = bytes.readUIntBE(at + 1, sizeBytes)
    return skipValues(bytes, at + 1 + sizeBytes, type >= 0xde ? 2 * count : count, depth)
  }
  const body = bodies.get(type)
  if (body === undefined) return -1
  if (body >= 0) return within(bytes, at + 1 + body)
  if (at + 1 - body > bytes.length) return -1
  return within(bytes, at + 1 - body + bytes.readUIntBE(at + 1, -body))
}

function skipValues(bytes: Buffer, start: number, count: number, depth: number): number {
  if (count > bytes.length - start) return -1 // each takes a byte at least
  let at = start
  for (let i = 0; i < count && at >= 0; i++) at = skipValue(bytes, at, depth + 1)
  return at
}

function within(bytes: Buffer, end: number): number {
  return end <= bytes.length ? end : -1
}
