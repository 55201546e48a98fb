import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeControl,
  encodeSignal,
  encodeText,
  FrameDecoder,
  type FrameHandler,
  FrameType,
  HEADER_BYTES,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
  MAX_HANDSHAKE_BYTES,
  RelayError,
  readOffset,
  writeHeader,
} from '../../../relay/wire/index.ts'

/** What came out, with the parts of a DATA frame joined together. */
type Seen =
  | { is: 'data'; label: number; offset: number; bytes: string }
  | { is: 'signal' | 'control'; type: number; label: number; offset: number; bytes: string }

class Recorder implements FrameHandler<Buffer> {
  readonly seen: Seen[] = []
  /** Parts that said a header lies before them, and where none did. */
  wrongHeaders = 0

  handleData(
    label: number,
    offset: number,
    bytes: Buffer,
    start: number,
    end: number,
    headerAt: number,
    source: Buffer,
  ): void {
    if (source !== bytes || start >= end) this.wrongHeaders += 1
    if (headerAt >= 0 && (headerAt !== start - HEADER_BYTES || readOffset(bytes, headerAt) !== offset))
      this.wrongHeaders += 1
    const last = this.seen.at(-1)
    const text = bytes.toString('latin1', start, end)
    if (last?.is === 'data' && last.label === label && last.offset + last.bytes.length === offset)
      last.bytes += text
    else this.seen.push({ is: 'data', label, offset, bytes: text })
  }
  handleSignal(type: number, label: number, offset: number, bytes: Buffer, headerAt: number): void {
    if (bytes[headerAt] !== type) this.wrongHeaders += 1
    this.seen.push({ is: 'signal', type, label, offset, bytes: '' })
  }
  handleControl(type: number, label: number, offset: number, payload: Buffer): void {
    this.seen.push({ is: 'control', type, label, offset, bytes: payload.toString('latin1') })
  }
}

function decoder(): FrameDecoder<Buffer> {
  const made = new FrameDecoder<Buffer>()
  made.allowAll()
  return made
}

function dataFrame(label: number, offset: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length)
  writeHeader(frame, 0, FrameType.data, payload.length, label, offset)
  payload.copy(frame, HEADER_BYTES)
  return frame
}

const label = fc.integer({ min: 1, max: 0xffff_ffff })
const offset = fc.oneof(fc.nat(), fc.maxSafeNat())
const frame: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(
      label,
      fc.oneof(fc.nat(), fc.constant(0x1_0000_0000 - 2)),
      fc.uint8Array({ minLength: 1, maxLength: 90 }),
    )
    .map(([on, at, bytes]) => dataFrame(on, at, Buffer.from(bytes))),
  fc
    .tuple(fc.constantFrom(FrameType.ack, FrameType.credit, FrameType.fin, FrameType.reset), label, offset)
    .map(([type, on, at]) => encodeSignal(type, on, at)),
  fc
    .tuple(label, offset, fc.string({ maxLength: 60 }))
    .map(([on, at, to]) => encodeControl(FrameType.open, on, at, { to })),
  fc.constant(encodeSignal(FrameType.ping, 0, 0)),
  fc.constantFrom('', 'a sentence').map((text) => encodeText(FrameType.close, 3, text)),
)

describe('the decoder', () => {
  it('makes the same of any frames, however their bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 60 }),
        (frames, cuts) => {
          const all = Buffer.concat(frames)
          const whole = new Recorder()
          decoder().push(all, 0, all.length, all, whole)
          const split = new Recorder()
          const inParts = decoder()
          let at = 0
          for (const cut of [...cuts, all.length]) {
            const end = Math.min(all.length, at + cut)
            // Each read lies somewhere else, as those of a socket do.
            const read = Buffer.concat([Buffer.alloc(3), all.subarray(at, end)])
            if (end > at) inParts.push(read, 3, read.length, read, split)
            at = end
          }
          expect(split.seen).toEqual(whole.seen)
          expect(whole.wrongHeaders + split.wrongHeaders).toBe(0)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('hands a DATA frame on in the parts in which it comes, each with its own offset', () => {
    const recorder: [number, string, boolean][] = []
    const parts: FrameHandler<undefined> = {
      handleData: (_label, at, bytes, start, end, headerAt) =>
        recorder.push([at, bytes.toString('latin1', start, end), headerAt >= 0]),
      handleSignal: () => {},
      handleControl: () => {},
    }
    const bytes = dataFrame(7, 100, Buffer.from('abcdef'))
    const one = decoder() as FrameDecoder<never> as FrameDecoder<undefined>
    one.push(bytes, 0, HEADER_BYTES + 2, undefined, parts)
    one.push(bytes, HEADER_BYTES + 2, HEADER_BYTES + 3, undefined, parts)
    one.push(bytes, HEADER_BYTES + 3, bytes.length, undefined, parts)
    expect(recorder).toEqual([
      [100, 'ab', true],
      [102, 'c', false],
      [103, 'def', false],
    ])
  })

  it('says nothing of a DATA frame of which only the header has come', () => {
    const recorder = new Recorder()
    const bytes = dataFrame(7, 100, Buffer.from('abcdef'))
    decoder().push(bytes, 0, HEADER_BYTES, bytes, recorder)
    expect(recorder.seen).toEqual([])
  })

  it('hands on nothing after it was stopped, not even the rest of the same read', () => {
    const one = decoder()
    const seen: number[] = []
    const stopping: FrameHandler<Buffer> = {
      handleData: () => {},
      handleSignal: (type) => {
        seen.push(type)
        one.stop()
      },
      handleControl: () => {},
    }
    const bytes = Buffer.concat([encodeSignal(FrameType.fin, 1, 0), encodeSignal(FrameType.ack, 1, 0)])
    one.push(bytes, 0, bytes.length, bytes, stopping)
    expect(seen).toEqual([FrameType.fin])
  })

  it.each([
    ['a type that means nothing', header(0x55, 0, 1, 0)],
    ['type 0', header(0, 0, 0, 0)],
    ['DATA without bytes', header(FrameType.data, 0, 1, 0)],
    ['DATA over a mebibyte', header(FrameType.data, MAX_DATA_BYTES + 1, 1, 0)],
    ['DATA on label 0', header(FrameType.data, 5, 0, 0)],
    ['a signal with a payload', header(FrameType.ack, 1, 1, 0)],
    ['PING on a label', header(FrameType.ping, 0, 1, 0)],
    ['ACK without a label', header(FrameType.ack, 0, 0, 0)],
    ['a control frame over its limit', header(FrameType.open, MAX_CONTROL_BYTES + 1, 1, 0)],
    ['an offset of 2^53', header(FrameType.ack, 0, 1, 0, 0x0020_0000)],
    ['an offset of 2^64 - 1', header(FrameType.ack, 0, 1, 0xffff_ffff, 0xffff_ffff)],
  ])('refuses %s as a violation', (_what, bytes) => {
    expect(() => decoder().push(bytes, 0, bytes.length, bytes, new Recorder())).toThrow(
      expect.objectContaining({ name: 'RelayError', code: 'violation' }),
    )
  })

  it('takes no DATA and no long frame before the handshake is done', () => {
    for (const bytes of [
      header(FrameType.data, 1, 1, 0),
      header(FrameType.hello, MAX_HANDSHAKE_BYTES + 1, 0, 0),
    ]) {
      const fresh = new FrameDecoder<Buffer>()
      expect(() => fresh.push(bytes, 0, bytes.length, bytes, new Recorder())).toThrow(RelayError)
    }
  })

  it('throws nothing but violations, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }),
        fc.boolean(),
        (reads, isUp) => {
          const one = new FrameDecoder<Buffer>()
          if (isUp) one.allowAll()
          try {
            for (const read of reads) {
              const bytes = Buffer.from(read)
              one.push(bytes, 0, bytes.length, bytes, new Recorder())
            }
          } catch (error) {
            expect(error).toMatchObject({ name: 'RelayError', code: 'violation' })
          }
        },
      ),
      { numRuns: 5_000 },
    )
  })
})

function header(type: number, length: number, on: number, low: number, high = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt32BE(((type << 24) | length) >>> 0, 0)
  bytes.writeUInt32BE(on, 4)
  bytes.writeUInt32BE(high, 8)
  bytes.writeUInt32BE(low, 12)
  return bytes
}
