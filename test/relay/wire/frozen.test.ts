/**
 * The numbers of the wire, written out a second time. When a line here fails, the protocol has
 * changed: a new version, PROTOCOL.md and the changelog belong to the same commit.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { relayOptions } from '../../../cli/options/relay.ts'
import { readOptions } from '../../../cli/read-options.ts'
import { LINK_PATH, MAX_MESSAGE_BYTES } from '../../../relay/pipe/websocket-pipe.ts'
import { defaultRelayLimits } from '../../../relay/server/limits.ts'
import { maxTokenLength } from '../../../relay/token/verify.ts'
import {
  ALPN,
  closeReasons,
  decodeGone,
  decodeHello,
  decodeMoved,
  decodeRouteDown,
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
  MAX_LABEL,
  MAX_OFFSET,
  PREAMBLE,
  readOffset,
  resetReasons,
  resumedStatuses,
  ruleOf,
  VERSION_MAX,
  VERSION_MIN,
  writeHeader,
} from '../../../relay/wire/index.ts'
import { RawLink } from '../../sim/raw-link.ts'
import { World } from '../../sim/world.ts'

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
    'hello',
    // One that was sent here, and still has a home that asked it to go.
    encodeHello({
      versions: [1, 1],
      token: 't',
      incarnation,
      counter: 7,
      class: 'urgent',
      mode: 'visit',
      placed: true,
      hasHome: true,
    }),
    [
      '01000066 00000000 0000000000000000',
      'de0008',
      `a8${text('versions')} 920101`,
      `a5${text('token')} a1${text('t')}`,
      `ab${text('incarnation')} b0${text(incarnation)}`,
      `a7${text('counter')} 07`,
      `a5${text('class')} a6${text('urgent')}`,
      `a4${text('mode')} a5${text('visit')}`,
      `a6${text('placed')} c3`,
      `a7${text('hasHome')} c3`,
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

  it('has these close reasons, after which another attach may help or not', () => {
    expect(closeReasons).toEqual({
      violation: { wire: 1, retry: 'after-backoff' },
      version: { wire: 2, retry: 'never' },
      unauthorized: { wire: 3, retry: 'never' },
      expired: { wire: 4, retry: 'after-backoff' },
      forbidden: { wire: 5, retry: 'never' },
      superseded: { wire: 6, retry: 'after-backoff' },
      retired: { wire: 7, retry: 'never' },
      taken: { wire: 8, retry: 'after-backoff' },
      overloaded: { wire: 9, retry: 'after-backoff' },
      timeout: { wire: 10, retry: 'after-backoff' },
      silent: { wire: 11, retry: 'at-once' },
      draining: { wire: 12, retry: 'at-once' },
      goodbye: { wire: 13, retry: 'never' },
      internal: { wire: 14, retry: 'after-backoff' },
    })
  })

  it('has these statuses, versions and sizes', () => {
    expect(resumedStatuses).toEqual({ ended: 0, live: 1, lost: 2 })
    expect([VERSION_MIN, VERSION_MAX]).toEqual([1, 1])
    expect(PREAMBLE.toString('hex')).toBe('f5534c52')
    expect([HEADER_BYTES, MAX_DATA_BYTES, MAX_CONTROL_BYTES, MAX_HANDSHAKE_BYTES, MAX_BATCH]).toEqual([
      16, 1_048_576, 65_536, 8_192, 512,
    ])
    expect([MAX_LABEL, MAX_OFFSET]).toEqual([4_294_967_295, 9_007_199_254_740_991])
  })

  it('has these names inside TLS and HTTP, and messages of this size inside a WebSocket', () => {
    expect([ALPN, LINK_PATH, MAX_MESSAGE_BYTES]).toEqual(['slr/1', '/link', 65_536])
  })

  it('has a frame of each type here', () => {
    expect(new Set(frames.map(([name]) => name))).toEqual(new Set(Object.keys(frameNumbers)))
  })

  it.each(frames)('writes %s as these bytes', (_name, made, byHand) => {
    expect(made.toString('hex')).toBe(byHand.join('').replaceAll(' ', ''))
  })
})

describe('what a frame may hold', () => {
  const payloadOf = (frame: Buffer): Buffer => frame.subarray(HEADER_BYTES)
  const hello = { versions: [1, 1], token: 't', incarnation, counter: 7, class: 'bulk', mode: 'attach' }
  const decodedHello = (more: object) => decodeHello(payloadOf(encodeControl(1, 0, 0, { ...hello, ...more })))

  it('is `placed` and `hasHome` in a HELLO, both absent as a rule', () => {
    expect(decodedHello({ placed: true })).toMatchObject({ placed: true, hasHome: false })
    expect(decodedHello({ hasHome: true })).toMatchObject({ placed: false, hasHome: true })
    expect(decodedHello({})).toMatchObject({ placed: false, hasHome: false })
  })

  it('is a token of 4,096 characters at most', () => {
    expect(maxTokenLength).toBe(4_096)
    expect(decodedHello({ token: 'x'.repeat(4_096) }).token).toHaveLength(4_096)
    expect(() => decodedHello({ token: 'x'.repeat(4_097) })).toThrow(/^violation: HELLO.token/)
  })

  it('is a URL of 255 characters at most', () => {
    const movedTo = (url: string) =>
      decodeMoved(payloadOf(encodeMoved({ to: '127.64.0.2', node: 'm', urls: [url], epoch: 0, labels: [] })))
    expect(movedTo('x'.repeat(255)).urls[0]).toHaveLength(255)
    expect(() => movedTo('x'.repeat(256))).toThrow(/^violation: MOVED.urls/)
  })

  it('is a label up to 2^32 - 1 and an offset up to 2^53 - 1', () => {
    const down = (label: number) => decodeRouteDown(payloadOf(encodeRouteDown({ labels: [label] })))
    expect(down(4_294_967_295)).toEqual({ labels: [4_294_967_295] })
    expect(() => down(4_294_967_296)).toThrow(/^violation: ROUTE_DOWN names label/)
    const offset = (hex: string) => readOffset(Buffer.from(`2200000000000003${hex}`, 'hex'), 0)
    expect(offset('001fffffffffffff')).toBe(9_007_199_254_740_991)
    expect(() => offset('0020000000000000')).toThrow(/^violation: offset/)
  })

  it('is nested four levels below the outermost at most', () => {
    const goneWith = (unknown: unknown) =>
      decodeGone(payloadOf(encodeControl(0x31, 0, 0, { address: '127.64.0.2', incarnation, unknown })))
    expect(goneWith([[[1]]])).toEqual({ address: '127.64.0.2', incarnation })
    expect(goneWith([{ a: [[]] }])).toEqual({ address: '127.64.0.2', incarnation })
    for (const tooDeep of [[[[[1]]]], [[{ a: [1] }]], [[[[[]]]]]])
      expect(() => goneWith(tooDeep)).toThrow(/^violation: GONE/)
  })
})

/** An endpoint of a simulated relay that does not attach it by itself. */
async function attachedTo(
  world: World,
  address: string,
  hello: Parameters<RawLink['hello']>[1],
): Promise<RawLink> {
  const link = new RawLink(world, world.relay, `raw ${address}`)
  link.hello(address, hello)
  await world.pass(5)
  return link
}

describe('what a relay allows one link', () => {
  it('is 100,000 frames other than DATA a second, unless it is told otherwise', () => {
    expect(defaultRelayLimits.controlFramesPerSecond).toBe(100_000)
    expect(readOptions(relayOptions, {}, {}).controlFramesPerSecond).toBe(100_000)
  })

  const nowhere = (n: number): string => `127.65.${n >> 8}.${n & 0xff}`
  const entries = (n: number) =>
    [1, 2, 3].map((k) => ({
      label: 6 * n + 2 * k + 1,
      id: 9 * n + k,
      generation: 2,
      received: 0,
      limit: 0,
      port: 9,
    }))
  const watched = Array.from({ length: 9 }, (_, n) => ({ address: nowhere(n), incarnation }))

  // The burst is twice what is allowed a second, 200 here, and HELLO was one of them.
  it.each<[name: string, counts: number, frame: (n: number) => Buffer]>([
    ['PING', 1, () => encodeSignal(FrameType.ping, 0, 0)],
    ['WATCH of nine', 10, () => encodeWatch({ peers: watched })],
    [
      'OPEN for whose address the directory is asked',
      20,
      (n) => encodeControl(FrameType.open, 2 * n + 1, 0, { to: nowhere(n), port: 9, id: n }),
    ],
    [
      'RESUME of three for whose address the directory is asked',
      23,
      (n) => encodeResume({ peer: nowhere(n), incarnation: '', entries: entries(n) }),
    ],
    ['RETIRE', 10, (n) => encodeRetire({ address: nowhere(n), generation: 1 })],
  ])('counts %s as %i of them', async (_name, counts, frame) => {
    const frames = Array.from({ length: 5 }, (_, n) => frame(n))
    const pings = 199 - frames.length * counts
    for (const [more, reason] of [
      [pings, 0],
      [pings + 1, closeReasons.overloaded.wire],
    ] as const) {
      const world = new World({ relayLimits: { controlFramesPerSecond: 100 } })
      const link = await attachedTo(world, '127.64.0.1', { role: 'driver' })
      link.send(Buffer.concat([...frames, ...Array<Buffer>(more).fill(encodeSignal(FrameType.ping, 0, 0))]))
      await world.pass(5)
      expect(link.closeReason, `five and ${more} pings`).toBe(reason)
    }
  })

  it('keeps the newest 16 visits of one endpoint', async () => {
    const world = new World()
    const visits: RawLink[] = []
    for (let counter = 1; counter <= 17; counter += 1)
      visits.push(await attachedTo(world, '127.64.0.1', { mode: 'visit', counter }))
    const overloaded = closeReasons.overloaded.wire
    expect(visits.map(({ closeReason }) => closeReason)).toEqual([overloaded, ...Array<number>(16).fill(0)])
  })

  it('lets it wait for 4,096 addresses, and for 16 incarnations of each', async () => {
    const world = new World({ relayLimits: { graceMs: 1_000 } })
    const link = await attachedTo(world, '127.64.0.1', {})
    const other = await attachedTo(world, '127.64.0.2', {})
    const incarnations = Array.from({ length: 17 }, (_, n) => n.toString(16).padStart(16, '0'))
    other.send(
      encodeWatch({ peers: incarnations.map((each) => ({ address: nowhere(0), incarnation: each })) }),
    )
    for (let first = 0; first < 4_097; first += MAX_BATCH) {
      const batch = Math.min(MAX_BATCH, 4_097 - first)
      const peers = Array.from({ length: batch }, (_, n) => ({ address: nowhere(first + n), incarnation }))
      link.send(encodeWatch({ peers }))
    }
    await world.pass(4_000)
    const given = (raw: RawLink) => raw.of(FrameType.gone).map(({ payload }) => decodeGone(payload))
    expect(given(link).map(({ address }) => address)).toEqual(
      Array.from({ length: 4_096 }, (_, n) => nowhere(n)),
    )
    expect(given(other).map((gone) => gone.incarnation)).toEqual(incarnations.slice(0, 16))
  })
})

describe('the wire page', () => {
  const page = readFileSync('relay/PROTOCOL.md', 'utf8').split('\n')

  /** The cells of the one table whose first line is `head`, without that line. */
  function table(head: string): readonly (readonly string[])[] {
    const at = page.indexOf(head)
    expect(page.lastIndexOf(head), head).toBe(at)
    const end = page.findIndex((line, index) => index > at && !line.startsWith('|'))
    return page.slice(at + 2, end).map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
  }
  const camelCase = (name: string): string =>
    name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())

  it('lists these frames, each with its number, scope and payload', () => {
    const payloads = { none: 'none', data: 'data', control: 'map', text: 'text' } as const
    const listed = table('| type | name | scope | payload | from | `offset` |')
    expect(
      listed.map(([number, name = '', scope, payload]) => [camelCase(name), Number(number), scope, payload]),
    ).toEqual(
      Object.entries(FrameType).map(([name, number]) => {
        const rule = ruleOf(number)
        return [name, number, rule?.scope, rule && payloads[rule.payload]]
      }),
    )
  })

  it('lists these close reasons, each with its number and whether to try again', () => {
    const retries = { 'at-once': 'at once', 'after-backoff': 'after a back-off', never: 'never' } as const
    const listed = table('| reason | number | try again |')
    expect(
      listed.map(([name, number, again]) => [name, Number(number), /^[^,;]*/.exec(again ?? '')?.[0]]),
    ).toEqual(Object.entries(closeReasons).map(([name, { wire, retry }]) => [name, wire, retries[retry]]))
  })

  it('lists these reset reasons', () => {
    const listed = table('| reset reason | number | meaning |')
    expect(Object.fromEntries(listed.map(([name, number]) => [name, Number(number)]))).toEqual(resetReasons)
  })
})
