import fc from 'fast-check'
import { Packr } from 'msgpackr/pack'
import { describe, expect, it } from 'vitest'
import {
  decodeGone,
  decodeHello,
  decodeIncoming,
  decodeMoved,
  decodeOpen,
  decodeOpened,
  decodeResume,
  decodeResumed,
  decodeRetire,
  decodeRouteDown,
  decodeWatch,
  decodeWelcome,
  encodeHello,
  encodeMoved,
  encodeResume,
  encodeResumed,
  encodeWatch,
  HEADER_BYTES,
  type Hello,
  MAX_BATCH,
  MAX_CONTROL_BYTES,
} from '../../../relay/wire/index.ts'

const decoders = {
  decodeGone,
  decodeHello,
  decodeIncoming,
  decodeMoved,
  decodeOpen,
  decodeOpened,
  decodeResume,
  decodeResumed,
  decodeRetire,
  decodeRouteDown,
  decodeWatch,
  decodeWelcome,
}
const packr = new Packr({ useRecords: false })
const payloadOf = (frame: Buffer): Buffer => frame.subarray(HEADER_BYTES)

const hello: Hello = {
  versions: [1, 1],
  token: 'x'.repeat(4_096),
  incarnation: '0123456789abcdef',
  counter: 3,
  class: 'urgent',
  mode: 'visit',
}

describe('payloads of control frames', () => {
  it('come back as they were sent', () => {
    expect(decodeHello(payloadOf(encodeHello(hello)))).toEqual({ ...hello, placed: false, hasHome: false })
    const moved = {
      to: '127.64.0.9',
      node: 'n',
      urls: ['tls://a:1', 'ws://b/link'],
      epoch: 2 ** 52,
      labels: [1, 4_294_967_295],
    }
    expect(decodeMoved(payloadOf(encodeMoved(moved)))).toEqual(moved)
    const entries = [
      { label: 1, id: 2, generation: 3, received: Number.MAX_SAFE_INTEGER, limit: 5, port: 65_535 },
    ]
    const resume = { peer: '127.64.0.9', incarnation: '', entries }
    expect(decodeResume(payloadOf(encodeResume(resume)))).toEqual(resume)
    for (const status of ['live', 'ended', 'lost'] as const) {
      const resumed = {
        incarnation: '00000000000000af',
        entries: [{ label: 2, generation: 3, status, received: 4, limit: 5 }],
      }
      expect(decodeResumed(payloadOf(encodeResumed(resumed)))).toEqual(resumed)
    }
  })

  it('fit a frame in the largest batches that are sent', () => {
    const most = Number.MAX_SAFE_INTEGER
    const entry = {
      label: 4_294_967_295,
      id: most,
      generation: most,
      received: most,
      limit: most,
      port: 65_535,
    }
    const incarnation = 'f'.repeat(16)
    const peer = '127.127.127.127'
    const full = <T>(one: T): T[] => new Array<T>(MAX_BATCH).fill(one)
    const resumed = {
      label: 4_294_967_295,
      generation: most,
      status: 'live' as const,
      received: most,
      limit: most,
    }
    const frames = [
      encodeResume({ peer, incarnation, entries: full(entry) }),
      encodeResumed({ incarnation, entries: full(resumed) }),
      encodeWatch({ peers: full({ address: peer, incarnation }) }),
      encodeMoved({ to: peer, node: 'n'.repeat(64), urls: [], epoch: most, labels: full(4_294_967_295) }),
    ]
    for (const frame of frames) expect(frame.length - HEADER_BYTES).toBeLessThan(MAX_CONTROL_BYTES)
  })

  it.each([
    ['no map', []],
    ['a missing field', { ...hello, token: undefined }],
    ['a token over 4,096', { ...hello, token: 'x'.repeat(4_097) }],
    ['an incarnation that is no 16 hexadecimal digits', { ...hello, incarnation: '0123456789ABCDEF' }],
    ['a class that is not known', { ...hello, class: 'slow' }],
    ['a mode that is not known', { ...hello, mode: 'own' }],
    ['one version', { ...hello, versions: [1] }],
    ['a negative version', { ...hello, versions: [-1, 1] }],
    ['half a counter', { ...hello, counter: 0.5 }],
    ['a counter beyond 2^53', { ...hello, counter: 1e300 }],
    ['a date', { ...hello, counter: new Date(0) }],
  ])('of HELLO are refused with %s', (_what, payload) => {
    expect(() => decodeHello(packr.pack(payload))).toThrow(/^violation: HELLO/)
  })

  it.each([
    ['label 0', [0, 1, 1, 0, 0, 0]],
    ['a label beyond 32 bits', [4_294_967_296, 1, 1, 0, 0, 0]],
    ['a limit beyond 2^53', [1, 1, 1, 0, 1e300, 0]],
    ['a port beyond 65,535', [1, 1, 1, 0, 0, 65_536]],
    ['five numbers', [1, 1, 1, 0, 0]],
    ['a string', [1, '1', 1, 0, 0, 0]],
  ])('of RESUME are refused with %s', (_what, entry) => {
    const payload = packr.pack({ peer: '127.64.0.2', incarnation: '', entries: [entry] })
    expect(() => decodeResume(payload)).toThrow(/^violation: RESUME/)
  })

  it.each([['0123456789ABCDEF'], ['0123456789abcde'], ['0123456789abcdef0'], ['x'], ['']])(
    'are refused with the incarnation %j, but for "" where none may be known',
    (incarnation) => {
      const [from, to, port, id] = ['127.64.0.2', '127.64.0.3', 1, 1]
      const refused: [(payload: Buffer) => unknown, unknown][] = [
        [decodeIncoming, { from, incarnation, port, id }],
        [decodeOpened, { incarnation }],
        [decodeResumed, { incarnation, entries: [] }],
        [decodeWatch, { peers: [{ address: to, incarnation }] }],
      ]
      for (const [decode, payload] of refused)
        expect(() => decode(packr.pack(payload)), decode.name).toThrow(/^violation: .*16 lower-case hex/)
      for (const [decode, payload] of [
        [decodeResume, { peer: to, incarnation, entries: [] }],
        [decodeGone, { address: to, incarnation }],
      ] as const) {
        if (incarnation === '') expect(decode(packr.pack(payload))).toMatchObject({ incarnation: '' })
        else expect(() => decode(packr.pack(payload)), decode.name).toThrow(/^violation: .*16 lower-case hex/)
      }
    },
  )

  it('are refused with port 0, and with a status that is none', () => {
    const incarnation = '0123456789abcdef'
    expect(() => decodeOpen(packr.pack({ to: '127.64.0.3', port: 0, id: 1 }))).toThrow(/from 1 to 65535/)
    const incoming = { from: '127.64.0.2', incarnation, port: 0, id: 1 }
    expect(() => decodeIncoming(packr.pack(incoming))).toThrow(/from 1 to 65535/)
    const resumed = { incarnation, entries: [[1, 1, 3, 0, 0]] }
    expect(() => decodeResumed(packr.pack(resumed))).toThrow(/status 3, not 0 to 2/)
  })

  it('are refused with more entries than a batch, and with lists that are longer than their bytes', () => {
    const labels = new Array(MAX_BATCH + 1).fill(1)
    expect(() => decodeRouteDown(packr.pack({ labels }))).toThrow(/at most 512/)
    // { labels: a list of 4,294,967,295 } and no entry.
    const endless = Buffer.concat([
      Buffer.from([0x81, 0xa6]),
      Buffer.from('labels'),
      Buffer.from('ddffffffff', 'hex'),
    ])
    expect(() => decodeRouteDown(endless)).toThrow(/^violation: ROUTE_DOWN is not plain msgpack/)
  })

  it('are refused as a violation, and nothing else, whatever they are', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc.anything({ maxDepth: 3 }).map((value) => {
        try {
          return packr.pack(value)
        } catch {
          return Buffer.alloc(0)
        }
      }),
      fc
        .dictionary(
          fc.constantFrom(
            'to',
            'port',
            'id',
            'from',
            'labels',
            'entries',
            'peers',
            'incarnation',
            'urls',
            'address',
          ),
          fc.oneof(
            fc.integer(),
            fc.string(),
            fc.array(fc.oneof(fc.integer(), fc.array(fc.maxSafeInteger()))),
          ),
        )
        .map((value) => packr.pack(value)),
    )
    fc.assert(
      fc.property(anything, fc.constantFrom(...Object.values(decoders)), (payload, decode) => {
        try {
          decode(payload)
        } catch (error) {
          expect(error).toMatchObject({ name: 'RelayError', code: 'violation' })
        }
      }),
      { numRuns: 5_000 },
    )
  })
})
