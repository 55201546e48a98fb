/**
 * The 16 bytes in front of every frame. Fixed size and fixed places, so that a relay can
 * rewrite a label, or cut a DATA frame in two, without touching anything else.
 *
 *   0      1..3      4..7     8..15
 *   type   length    label    offset      all big-endian
 */
import { violation } from './errors.ts'

export const HEADER_BYTES = 16

/** Sent once by the dialling side of a native link, before any frame. 0xF5 begins neither HTTP nor TLS. */
export const PREAMBLE = Buffer.from([0xf5, 0x53, 0x4c, 0x52])

/** Protocol versions that this code speaks. */
export const VERSION_MIN = 1
export const VERSION_MAX = 1

/** ALPN name of a native link inside TLS; `http/1.1` beside it leads to the HTTP server. */
export const ALPN = 'slr/1'

/** Numbers of the frames. Frozen by test/relay/wire/frozen.test.ts. */
export const FrameType = {
  hello: 0x01,
  welcome: 0x02,
  close: 0x03,
  ping: 0x04,
  goAway: 0x05,
  goodbye: 0x06,
  stay: 0x07,
  open: 0x10,
  opened: 0x11,
  moved: 0x12,
  resume: 0x13,
  resumed: 0x14,
  reset: 0x15,
  resetAck: 0x16,
  fin: 0x17,
  finAck: 0x18,
  reclaim: 0x19,
  reclaimed: 0x1a,
  done: 0x1b,
  data: 0x20,
  ack: 0x21,
  credit: 0x22,
  routeDown: 0x30,
  gone: 0x31,
  watch: 0x32,
  retire: 0x33,
} as const
export type FrameTypeName = keyof typeof FrameType

/** Where a frame belongs, and what may follow its header. */
export interface FrameRule {
  readonly name: FrameTypeName
  /** `link`: label must be 0. `stream`: label must not be 0. */
  readonly scope: 'link' | 'stream'
  /** `none`: length 0. `control`: msgpack, at most MAX_CONTROL_BYTES. `text`: UTF-8, likewise. `data`: 1 to MAX_DATA_BYTES. */
  readonly payload: 'none' | 'control' | 'text' | 'data'
}

/** Longest payload of a DATA frame, bytes. */
export const MAX_DATA_BYTES = 1 << 20
/** Longest payload of any other frame, bytes. */
export const MAX_CONTROL_BYTES = 64 * 1024
/** Longest payload before the handshake is done, bytes. */
export const MAX_HANDSHAKE_BYTES = 8 * 1024
/** Offsets stay exact in a double: 8 PiB a direction. */
export const MAX_OFFSET = Number.MAX_SAFE_INTEGER
/** Highest label. A link that has used them all must be replaced. */
export const MAX_LABEL = 0xffff_ffff

const rules: (FrameRule | undefined)[] = new Array(256).fill(undefined)
function rule(name: FrameTypeName, scope: FrameRule['scope'], payload: FrameRule['payload']): void {
  rules[FrameType[name]] = { name, scope, payload }
}
rule('hello', 'link', 'control')
rule('welcome', 'link', 'control')
rule('close', 'link', 'text')
rule('ping', 'link', 'none')
rule('goAway', 'link', 'text')
rule('goodbye', 'link', 'none')
rule('stay', 'link', 'text')
rule('open', 'stream', 'control')
rule('opened', 'stream', 'control')
rule('moved', 'link', 'control')
rule('resume', 'link', 'control')
rule('resumed', 'link', 'control')
rule('reset', 'stream', 'none')
rule('resetAck', 'stream', 'none')
rule('fin', 'stream', 'none')
rule('finAck', 'stream', 'none')
rule('reclaim', 'stream', 'none')
rule('reclaimed', 'stream', 'none')
rule('done', 'stream', 'none')
rule('data', 'stream', 'data')
rule('ack', 'stream', 'none')
rule('credit', 'stream', 'none')
rule('routeDown', 'link', 'control')
rule('gone', 'link', 'control')
rule('watch', 'link', 'control')
rule('retire', 'link', 'control')

/** The rule of a frame type, or undefined for a number that means nothing. */
export function ruleOf(type: number): FrameRule | undefined {
  return rules[type]
}

/** Writes a header at `at`. `length` up to 2^24 - 1, `offset` up to MAX_OFFSET. */
export function writeHeader(
  into: Buffer,
  at: number,
  type: number,
  length: number,
  label: number,
  offset: number,
): void {
  into.writeUInt32BE(((type << 24) | length) >>> 0, at)
  into.writeUInt32BE(label, at + 4)
  // A double holds 53 bits, shifts only 32: the upper half by division.
  into.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), at + 8)
  into.writeUInt32BE(offset >>> 0, at + 12)
}

/** Rewrites what a relay changes when it passes a frame on: its length and its label. */
export function rewriteHeader(bytes: Buffer, at: number, length: number, label: number): void {
  bytes[at + 1] = length >>> 16
  bytes[at + 2] = (length >>> 8) & 0xff
  bytes[at + 3] = length & 0xff
  bytes.writeUInt32BE(label, at + 4)
}

/** The offset field of the header at `at`. Throws `violation` beyond MAX_OFFSET. */
export function readOffset(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32BE(at + 8)
  if (high > 0x1f_ffff)
    throw violation(`offset with upper half 0x${high.toString(16)}, allowed up to 2^53 - 1`)
  return high * 0x1_0000_0000 + bytes.readUInt32BE(at + 12)
}
