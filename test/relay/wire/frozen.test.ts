/**
 * The numbers of the wire, written out a second time. When a line here fails, the protocol has
 * changed: a new version, PROTOCOL.md and the changelog belong to the same commit.
 */
import { describe, expect, it } from 'vitest'
import {
  closeReasons,
  encodeControl,
  encodeGone,
  encodeHello,
  encodeMoved,
  encodeResume,
  encodeResumed,
  encodeRetire,
  encodeRouteDown,
  encodeSignal,
  encodeText,
  encodeWatch,
  encodeWelcome,
  FrameType,
  HEADER_BYTES,
  MAX_BATCH,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
  MAX_HANDSHAKE_BYTES,
  PREAMBLE,
  resetReasons,
  resumedStatuses,
  VERSION_MAX,
  VERSION_MIN,
  writeHeader,
} from '../../../relay/wire/index.ts'

const frameNumbers = {
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
}

const incarnation = '0123456789abcdef'
const text = (ascii: string): string => Buffer.from(ascii).toString('hex')

/** One of each: the frame as it is made, and its bytes by hand: type and length, label, offset, payload. */
const frames: readonly [name: keyof typeof FrameType, made: Buffer, byHand: readonly string[]][] = [
  [
    'hello',
    encodeHello({
      versions: [1, 1],
      token: 't',
      incarnation,
      counter: 7,
      class: 'bulk',
      mode: 'attach',
    }),
    [
      '01000054 00000000 0000000000000000',
      'de0006', // a map of 6
      `a8${text('versions')} 920101`, // [1, 1]
      `a5${text('token')} a1${text('t')}`,
      `ab${text('incarnation')} b0${text(incarnation)}`,
      `a7${text('counter')} 07`,
      `a5${text('class')} a4${text('bulk')}`,
      `a4${text('mode')} a6${text('attach')}`,
    ],
  ],
  [
    'welcome',
    encodeWelcome({
      version: 1,
      node: 'n',
      maxQueuedBytes: 67_108_864,
      maxStreams: 16_384,
      keepaliveMs: 2_000,
      silenceMs: 6_000,
      graceMs: 8_000,
    }),
    [
      '0200005c 00000000 0000000000000000',
      'de0007',
      `a7${text('version')} 01`,
      `a4${text('node')} a1${text('n')}`,
      `ae${text('maxQueuedBytes')} ce04000000`, // 64 MiB
      `aa${text('maxStreams')} cd4000`, // 16,384
      `ab${text('keepaliveMs')} cd07d0`, // 2,000
      `a9${text('silenceMs')} cd1770`, // 6,000
      `a7${text('graceMs')} cd1f40`, // 8,000
    ],
  ],
  // Reason 2, version; the sentence is for people.
  ['close', encodeText(FrameType.close, 2, 'no'), ['03000002 00000000 0000000000000002', text('no')]],
  ['ping', encodeSignal(FrameType.ping, 0, 0), ['04000000 00000000 0000000000000000']],
  // 10,000 ms are left.
  [
    'goAway',
    encodeText(FrameType.goAway, 10_000, 'bye'),
    ['05000003 00000000 0000000000002710', text('bye')],
  ],
  ['goodbye', encodeSignal(FrameType.goodbye, 0, 0), ['06000000 00000000 0000000000000000']],
  ['stay', encodeText(FrameType.stay, 0, 'ok'), ['07000002 00000000 0000000000000000', text('ok')]],
  [
    'open',
    // To the relay: 64 KiB of credit for the acceptor.
    encodeControl(FrameType.open, 1, 65_536, { to: '127.64.0.2', port: 7_078, id: 5 }),
    [
      '1000001d 00000001 0000000000010000',
      'de0003',
      `a2${text('to')} aa${text('127.64.0.2')}`,
      `a4${text('port')} cd1ba6`,
      `a2${text('id')} 05`,
    ],
  ],
  [
    'open',
    // To the acceptor, under a label of the relay's.
    encodeControl(FrameType.open, 2, 65_536, { from: '127.64.0.1', incarnation, port: 7_078, id: 5 }),
    [
      '1000003c 00000002 0000000000010000',
      'de0004',
      `a4${text('from')} aa${text('127.64.0.1')}`,
      `ab${text('incarnation')} b0${text(incarnation)}`,
      `a4${text('port')} cd1ba6`,
      `a2${text('id')} 05`,
    ],
  ],
  [
    'opened',
    encodeControl(FrameType.opened, 1, 65_536, { incarnation }),
    ['11000020 00000001 0000000000010000', 'de0001', `ab${text('incarnation')} b0${text(incarnation)}`],
  ],
  [
    'moved',
    encodeMoved({
      to: '127.64.0.2',
      node: 'm',
      urls: ['tcp://h:1'],
      epoch: 1_700_000_000_000,
      labels: [1, 3],
    }),
    [
      '12000041 00000000 0000000000000000',
      'de0005',
      `a2${text('to')} aa${text('127.64.0.2')}`,
      `a4${text('node')} a1${text('m')}`,
      `a4${text('urls')} 91a9${text('tcp://h:1')}`,
      `a5${text('epoch')} cb4278bcfe56800000`, // above 2^32 as a float
      `a6${text('labels')} 920103`,
    ],
  ],
  [
    'resume',
    encodeResume({
      peer: '127.64.0.2',
      incarnation: '',
      entries: [{ label: 5, id: 5, generation: 2, received: 0, limit: 16_384, port: 7_078 }],
    }),
    [
      '13000034 00000000 0000000000000000',
      'de0003',
      `a4${text('peer')} aa${text('127.64.0.2')}`,
      `ab${text('incarnation')} a0`, // '': never answered
      `a7${text('entries')} 91`,
      '96 05 05 02 00 cd4000 cd1ba6', // label, id, generation, received, limit, port
    ],
  ],
  [
    'resumed',
    encodeResumed({
      incarnation,
      entries: [{ label: 2, generation: 2, status: 'live', received: 300, limit: 16_684 }],
    }),
    [
      '14000033 00000000 0000000000000000',
      'de0002',
      `ab${text('incarnation')} b0${text(incarnation)}`,
      `a7${text('entries')} 91`,
      '95 02 02 01 cd012c cd412c', // label, generation, live, received, limit
    ],
  ],
  // Reason 6, aborted.
  ['reset', encodeSignal(FrameType.reset, 3, 6), ['15000000 00000003 0000000000000006']],
  ['resetAck', encodeSignal(FrameType.resetAck, 3, 0), ['16000000 00000003 0000000000000000']],
  // At 2^32 + 1 bytes.
  ['fin', encodeSignal(FrameType.fin, 3, 4_294_967_297), ['17000000 00000003 0000000100000001']],
  ['finAck', encodeSignal(FrameType.finAck, 3, 4_294_967_297), ['18000000 00000003 0000000100000001']],
  ['reclaim', encodeSignal(FrameType.reclaim, 3, 16_384), ['19000000 00000003 0000000000004000']],
  ['reclaimed', encodeSignal(FrameType.reclaimed, 3, 20_000), ['1a000000 00000003 0000000000004e20']],
  ['done', encodeSignal(FrameType.done, 3, 0), ['1b000000 00000003 0000000000000000']],
  [
    'data',
    dataFrame(0xffff_ffff, Number.MAX_SAFE_INTEGER - 3, 'abc'),
    ['20000003 ffffffff 001ffffffffffffc', text('abc')], // the highest label, near the highest offset
  ],
  ['ack', encodeSignal(FrameType.ack, 3, 300), ['21000000 00000003 000000000000012c']],
  ['credit', encodeSignal(FrameType.credit, 3, 65_536), ['22000000 00000003 0000000000010000']],
  [
    'routeDown',
    encodeRouteDown({ labels: [1, 3] }),
    ['3000000d 00000000 0000000000000000', 'de0001', `a6${text('labels')} 920103`],
  ],
  [
    'gone',
    encodeGone({ address: '127.64.0.2', incarnation: '' }),
    [
      '31000023 00000000 0000000000000000',
      'de0002',
      `a7${text('address')} aa${text('127.64.0.2')}`,
      `ab${text('incarnation')} a0`,
    ],
  ],
  [
    'watch',
    encodeWatch({ peers: [{ address: '127.64.0.2', incarnation }] }),
    [
      '3200003d 00000000 0000000000000000',
      'de0001',
      `a5${text('peers')} 91 de0002`,
      `a7${text('address')} aa${text('127.64.0.2')}`,
      `ab${text('incarnation')} b0${text(incarnation)}`,
    ],
  ],
  [
    'retire',
    encodeRetire({ address: '127.64.0.2', generation: 3 }),
    [
      '33000022 00000000 0000000000000000',
      'de0002',
      `a7${text('address')} aa${text('127.64.0.2')}`,
      `aa${text('generation')} 03`,
    ],
  ],
]

function dataFrame(label: number, offset: number, payload: string): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length)
  writeHeader(frame, 0, FrameType.data, payload.length, label, offset)
  frame.write(payload, HEADER_BYTES)
  return frame
}

describe('the wire', () => {
  it('has these frame numbers', () => expect(FrameType).toEqual(frameNumbers))

  it('has these reset reasons', () => {
    expect(resetReasons).toEqual({
      refused: 1,
      unknown: 2,
      gone: 3,
      overloaded: 4,
      forbidden: 5,
      aborted: 6,
      lost: 7,
      timeout: 8,
      shutdown: 9,
      violation: 10,
    })
  })

  it('has these close reasons', () => {
    expect(Object.fromEntries(Object.entries(closeReasons).map(([name, { wire }]) => [name, wire]))).toEqual({
      violation: 1,
      version: 2,
      unauthorized: 3,
      expired: 4,
      forbidden: 5,
      superseded: 6,
      retired: 7,
      taken: 8,
      overloaded: 9,
      timeout: 10,
      silent: 11,
      draining: 12,
      goodbye: 13,
      internal: 14,
    })
  })

  it('has these statuses, versions and sizes', () => {
    expect(resumedStatuses).toEqual({ ended: 0, live: 1, lost: 2 })
    expect([VERSION_MIN, VERSION_MAX]).toEqual([1, 1])
    expect(PREAMBLE.toString('hex')).toBe('f5534c52')
    expect([HEADER_BYTES, MAX_DATA_BYTES, MAX_CONTROL_BYTES, MAX_HANDSHAKE_BYTES, MAX_BATCH]).toEqual([
      16, 1_048_576, 65_536, 8_192, 512,
    ])
  })

  it('has a frame of each type here', () => {
    expect(new Set(frames.map(([name]) => name))).toEqual(new Set(Object.keys(frameNumbers)))
  })

  it.each(frames)('writes %s as these bytes', (_name, made, byHand) => {
    expect(made.toString('hex')).toBe(byHand.join('').replaceAll(' ', ''))
  })
})
