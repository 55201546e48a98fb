/** What an endpoint with a good token may not do to others, and what one without a token may not do to the relay. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { relayOptions } from '../../../cli/options/relay.ts'
import { readOptions } from '../../../cli/read-options.ts'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { startRelay } from '../../../relay/server/run.ts'
import {
  expiryIn,
  generateKeyLine,
  KeyRing,
  parseKeys,
  type SigningKey,
  signToken,
  TokenVerifier,
} from '../../../relay/token/index.ts'
import {
  decodeIncoming,
  encodeControl,
  encodeHello,
  encodeResume,
  encodeRetire,
  encodeSignal,
  encodeWatch,
} from '../../../relay/wire/control.ts'
import { FrameType, HEADER_BYTES, VERSION_MAX, VERSION_MIN, writeHeader } from '../../../relay/wire/header.ts'
import { neverAborted } from '../../helper/pipe-world.ts'
import { RawLink, type RelayWorld, startRelayWorld } from '../../helper/relay-world.ts'

async function start(options: Parameters<typeof startRelayWorld>[0] = {}): Promise<RelayWorld> {
  const world = await startRelayWorld(options)
  onTestFinished(() => world.stop())
  return world
}

const OTHER = 'spark-other'
let lastStranger = 0
/** An address that nobody had before: one that lost its link is in grace, and taken. */
const freshAddress = (): string => `127.64.2.${++lastStranger}`
const incarnationOfA = 'aaaaaaaaaaaaaaaa'
const incarnationOfB = 'bbbbbbbbbbbbbbbb'

/** An endpoint that is attached, as raw frames. */
async function attached(
  world: RelayWorld,
  addr: string,
  how: { app?: string; role?: 'driver' | 'executor'; incarnation?: string } = {},
): Promise<RawLink> {
  const { incarnation, ...claims } = how
  const link = await world.hello({
    token: await world.token({ addr, ...claims }),
    ...(incarnation === undefined ? {} : { incarnation }),
  })
  expect(await link.frame(FrameType.welcome)).toBeDefined()
  return link
}

function data(label: number, offset: number, bytes: Buffer): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + bytes.length)
  writeHeader(frame, 0, FrameType.data, bytes.length, label, offset)
  bytes.copy(frame, HEADER_BYTES)
  return frame
}

/** Two endpoints of one application with an open stream of 1,000 bytes of credit either way. */
async function stream(
  world: RelayWorld,
): Promise<{ opener: RawLink; acceptor: RawLink; label: number; acceptorLabel: number }> {
  const acceptor = await attached(world, '127.64.0.2', { incarnation: incarnationOfB })
  const opener = await attached(world, '127.64.0.3', { incarnation: incarnationOfA })
  opener.pipe.write(encodeControl(FrameType.open, 1, 1_000, { to: '127.64.0.2', port: 7, id: 1 }))
  const open = await acceptor.frame(FrameType.open)
  const acceptorLabel = open?.label ?? 0
  acceptor.pipe.write(encodeControl(FrameType.opened, acceptorLabel, 1_000, { incarnation: incarnationOfB }))
  expect(await opener.frame(FrameType.opened)).toMatchObject({ label: 1 })
  return { opener, acceptor, label: 1, acceptorLabel }
}

/** The stream still carries bytes, both ways. */
async function stillFlows({
  opener,
  acceptor,
  label,
  acceptorLabel,
}: Awaited<ReturnType<typeof stream>>): Promise<void> {
  opener.pipe.write(data(label, 0, Buffer.from('there')))
  acceptor.pipe.write(data(acceptorLabel, 0, Buffer.from('back')))
  expect((await acceptor.frame(FrameType.data))?.payload.toString()).toBe('there')
  expect((await opener.frame(FrameType.data))?.payload.toString()).toBe('back')
}

/** Settles when all that was written before on this link was read by the relay. */
async function roundTrip(world: RelayWorld, link: RawLink, label: number): Promise<void> {
  // A label that is reset before it was answered is confirmed by the relay itself.
  const before = link.frames.filter(({ type }) => type === FrameType.resetAck).length
  link.pipe.write(
    encodeControl(FrameType.open, label, 1_000, { to: '127.64.9.9', port: 1, id: 4_000 + label }),
  )
  link.pipe.write(encodeSignal(FrameType.reset, label, 1))
  await link.until(
    () => link.isClosed || link.frames.filter(({ type }) => type === FrameType.resetAck).length > before,
  )
  void world
}

describe('an endpoint of another application', () => {
  it('opens nothing: an address that only lives elsewhere is unknown to it', async () => {
    const world = await start({ graceMs: 500 })
    const there = await stream(world)
    const stranger = await attached(world, '127.64.0.9', { app: OTHER })
    stranger.pipe.write(encodeControl(FrameType.open, 1, 1_000, { to: '127.64.0.2', port: 7, id: 1 }))
    const reset = await stranger.frame(FrameType.reset)
    expect(reset).toMatchObject({ label: 1, offset: 2 })
    expect(there.acceptor.frames.filter(({ type }) => type === FrameType.open)).toHaveLength(1)
    await stillFlows(there)
  })

  it('guesses no label: a number that it did not open closes its own link and nobody else’s', async () => {
    const world = await start()
    const there = await stream(world)
    for (const label of [1, 2, there.acceptorLabel, 3, 0xffff_fffe]) {
      const stranger = await attached(world, freshAddress(), { app: OTHER })
      stranger.pipe.write(data(label, 0, Buffer.from('mine')))
      expect(await stranger.closeReason()).toBe('violation')
    }
    for (const type of [FrameType.reset, FrameType.fin, FrameType.credit, FrameType.reclaimed]) {
      const stranger = await attached(world, freshAddress(), { app: OTHER })
      stranger.pipe.write(encodeSignal(type, there.acceptorLabel, 5_000))
      expect(await stranger.closeReason()).toBe('violation')
    }
    await stillFlows(there)
  })

  it('resumes no stream that is not its own, though it knows both incarnations and the number', async () => {
    const world = await start({ graceMs: 500 })
    const there = await stream(world)
    const stranger = await attached(world, '127.64.0.3', { app: OTHER, incarnation: incarnationOfA })
    stranger.pipe.write(
      encodeResume({
        peer: '127.64.0.2',
        incarnation: incarnationOfB,
        entries: [
          { label: 1, id: 1, generation: 9, limit: 1_000, received: 0, finished: false, port: 0 } as never,
        ],
      }),
    )
    await stranger.until(
      () =>
        stranger.isClosed ||
        stranger.frames.some(({ type }) => type !== FrameType.welcome && type !== FrameType.ping),
    )
    expect(there.acceptor.frames.some(({ type }) => type === FrameType.resume)).toBe(false)
    expect(stranger.frames.some(({ type }) => type === FrameType.resumed)).toBe(false)
    await stillFlows(there)
  })

  it('hears nothing of the end of an address that it watches', async () => {
    const world = await start({ graceMs: 500 })
    const there = await stream(world)
    const stranger = await attached(world, '127.64.0.9', { app: OTHER })
    stranger.pipe.write(encodeWatch({ peers: [{ address: '127.64.0.3', incarnation: incarnationOfA }] }))
    await roundTrip(world, stranger, 1)
    // Those of the application hear at once; what the stranger may hear is that nobody has the address in its own.
    const toldBefore = stranger.frames.filter(({ type }) => type === FrameType.gone).length
    there.opener.pipe.write(encodeSignal(FrameType.goodbye, 0, 0))
    expect(await there.acceptor.frame(FrameType.gone)).toBeDefined()
    await roundTrip(world, stranger, 3)
    expect(stranger.frames.filter(({ type }) => type === FrameType.gone)).toHaveLength(toldBefore)
  })

  it('retires nothing, though it is a driver there', async () => {
    const world = await start()
    const there = await stream(world)
    const stranger = await attached(world, '127.64.0.1', { app: OTHER, role: 'driver' })
    stranger.pipe.write(encodeRetire({ address: '127.64.0.2', generation: 9 }))
    await roundTrip(world, stranger, 1)
    await stillFlows(there)
  })
})

describe('a token', () => {
  it('of an executor retires nobody: its link is closed as forbidden', async () => {
    const world = await start()
    const there = await stream(world)
    const executor = await attached(world, '127.64.0.4')
    executor.pipe.write(encodeRetire({ address: '127.64.0.2', generation: 1 }))
    expect(await executor.closeReason()).toBe('forbidden')
    await stillFlows(there)
  })

  it('shown by a second process is refused while the first lives, and in grace after it', async () => {
    const world = await start({ graceMs: 5_000 })
    const token = await world.token({ addr: '127.64.0.5' })
    const first = await world.hello({ token })
    await first.frame(FrameType.welcome)
    for (let i = 0; i < 3; i++) expect(await (await world.hello({ token })).closeReason()).toBe('taken')
    expect(first.isClosed).toBe(false)
    first.pipe.destroy()
    await first.until(() => first.isClosed)
    expect(await (await world.hello({ token })).closeReason()).toBe('taken')
  })

  it('of a retired generation is refused from then on, and one above it is not', async () => {
    const world = await start()
    const driver = await attached(world, '127.64.0.1', { role: 'driver' })
    const executor = await attached(world, '127.64.0.6')
    driver.pipe.write(encodeRetire({ address: '127.64.0.6', generation: 1 }))
    expect(await executor.closeReason()).toBe('retired')
    const again = await world.hello({ token: await world.token({ addr: '127.64.0.6' }) })
    expect(await again.closeReason()).toBe('retired')
    const next = await world.hello({ token: await world.token({ addr: '127.64.0.6', gen: 2 }) })
    expect(await next.frame(FrameType.welcome)).toBeDefined()
  })

  it('of a new key is good, and one of a removed key is not, while the relay runs on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slr-rotate-'))
    const secretFile = join(folder, 'secret')
    const lines = [generateKeyLine('old', '*'), generateKeyLine('new', '*')] as const
    const [older, newer] = lines.map((line) => parseKeys(line, 'test')[0]) as [SigningKey, SigningKey]
    const save = (...kept: readonly string[]): void =>
      writeFileSync(secretFile, `${kept.join('\n')}\n`, { mode: 0o600 })
    save(lines[0])
    const log = pino({ level: 'silent' })
    const ring = await KeyRing.open({ file: secretFile, text: undefined }, log)
    const options = {
      ...readOptions(relayOptions, {}, {}),
      listen: [{ is: 'tcp', host: '127.0.0.1', port: 0 }] as const,
    }
    const relay = await startRelay(
      { ...options, listen: [...options.listen] },
      new TokenVerifier(ring),
      undefined,
      log,
    )
    onTestFinished(async () => {
      await relay.close()
      rmSync(folder, { recursive: true, force: true })
    })
    const dialer = createPipeDialer()
    let address = 10
    /** 'welcome', or why not. */
    const shown = async (key: SigningKey): Promise<string | undefined> => {
      address += 1
      const claims = {
        app: 'any',
        addr: `127.64.0.${address}`,
        gen: 1,
        role: 'executor',
        exp: expiryIn(60_000),
      } as const
      const link = new RawLink(await dialer.dial(relay.listening[0] as string, neverAborted))
      onTestFinished(() => link.pipe.destroy())
      link.pipe.write(
        encodeHello({
          versions: [VERSION_MIN, VERSION_MAX],
          incarnation: randomBytes(8).toString('hex'),
          counter: 1,
          class: 'bulk',
          mode: 'attach',
          token: await signToken(key, claims),
        }),
      )
      return (await link.frame(FrameType.welcome)) === undefined ? await link.closeReason() : 'welcome'
    }
    expect([await shown(older), await shown(newer)]).toEqual(['welcome', 'unauthorized'])
    save(...lines)
    await expect.poll(() => shown(newer)).toBe('welcome')
    expect(await shown(older)).toBe('welcome')
    save(lines[1])
    await expect.poll(() => shown(older)).toBe('unauthorized')
    expect(await shown(newer)).toBe('welcome')
  })
})

describe('an endpoint with a good token', () => {
  it('that floods with keepalives is closed as overloaded, and no other', async () => {
    const world = await start({ controlFramesPerSecond: 1_000 })
    const there = await stream(world)
    const flooder = await attached(world, '127.64.0.4')
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => encodeSignal(FrameType.ping, 0, 0)))
    for (let i = 0; i < 20 && !flooder.isClosed; i++) flooder.pipe.write(pings)
    expect(await flooder.closeReason()).toBe('overloaded')
    await stillFlows(there)
  })

  it('that visits again and again keeps a few of its links, and takes nobody’s place', async () => {
    const world = await start({ maxLinks: 40 })
    const there = await stream(world)
    const token = await world.token({ addr: '127.64.0.4' })
    const visits: RawLink[] = []
    for (let i = 0; i < 60; i++) {
      const link = await world.hello({
        token,
        mode: 'visit',
        incarnation: 'cccccccccccccccc',
        counter: i + 1,
      })
      await link.frame(FrameType.welcome)
      visits.push(link)
    }
    await expect.poll(() => visits.filter(({ isClosed }) => !isClosed).length).toBe(16)
    expect(await visits[0]?.closeReason()).toBe('overloaded')
    expect(visits.at(-1)?.isClosed).toBe(false)
    await attached(world, '127.64.0.5')
    await stillFlows(there)
  })

  it('that attaches again and again is refused, and costs others nothing', async () => {
    const world = await start()
    const there = await stream(world)
    const token = await world.token({ addr: '127.64.0.4' })
    let attaches = 0
    for (let i = 0; i < 200; i++) {
      const link = await world.hello({ token, incarnation: 'cccccccccccccccc', counter: i + 1 })
      await link.until(() => link.isClosed || link.frames.length > 0)
      if (link.frames.some(({ type }) => type === FrameType.welcome)) attaches += 1
      else expect(await link.closeReason()).toBe('overloaded')
    }
    expect(attaches).toBeGreaterThanOrEqual(100)
    expect(attaches).toBeLessThan(200)
    await attached(world, '127.64.0.5')
    await stillFlows(there)
  })

  it('that retires by the thousand is slowed down before the relay is, and a full relay says no more than that', async () => {
    const world = await start({ maxLinks: 3 })
    const there = await stream(world)
    const driver = await attached(world, '127.64.0.1', { role: 'driver' })
    const refused = await world.hello({ token: await world.token({ addr: '127.64.0.6' }) })
    expect(await refused.closeReason()).toBe('overloaded')
    expect(JSON.stringify(refused.frames.map(({ payload }) => payload.toString()))).not.toMatch(/\d links/)
    const beganMs = performance.now()
    // What a driver of a long job says to each new home: it must not be too much.
    for (let i = 0; i < 4_096; i++)
      driver.pipe.write(encodeRetire({ address: `127.65.${i >> 8}.${i & 255 || 1}`, generation: 1 }))
    await stillFlows(there)
    expect(performance.now() - beganMs).toBeLessThan(10_000)
    expect(driver.isClosed).toBe(false)
    for (let i = 0; i < 30_000 && !driver.isClosed; i++)
      driver.pipe.write(encodeRetire({ address: '127.66.0.1', generation: i + 1 }))
    expect(await driver.closeReason()).toBe('overloaded')
    await stillFlows(there)
  })

  it('that names addresses which cannot be is closed as a violation', async () => {
    const world = await start()
    for (const address of ['}{..', '127.64.0.0', '127.127.255.255', '10.0.0.1', '127.064.0.2']) {
      const driver = await attached(world, freshAddress(), { role: 'driver' })
      driver.pipe.write(encodeRetire({ address, generation: 1 }))
      expect(await driver.closeReason()).toBe('violation')
    }
  })

  it('that sprays labels is refused above its limit, and leaves nothing behind', async () => {
    const world = await start({ maxStreams: 16, graceMs: 500 })
    const there = await stream(world)
    const before = world.relay.core.tableSizes
    const sprayer = await attached(world, '127.64.0.4')
    for (let i = 0; i < 500; i++)
      sprayer.pipe.write(
        encodeControl(FrameType.open, 1 + 2 * i * 1_000, 1_000, {
          to: `127.64.7.${i % 250}`,
          port: 7,
          id: i,
        }),
      )
    await sprayer.until(
      () => sprayer.isClosed || sprayer.frames.filter(({ type }) => type === FrameType.reset).length >= 484,
    )
    expect(world.relay.core.tableSizes.parked).toBeLessThanOrEqual(16)
    sprayer.pipe.destroy()
    await expect
      .poll(() => world.relay.core.tableSizes)
      .toMatchObject({ links: before.links, labels: before.labels, parked: 0 })
    await stillFlows(there)
  })

  it('that sends beyond its credit is closed as a violation, and its peer only loses the stream', async () => {
    const world = await start()
    const there = await stream(world)
    const bystander = await attached(world, '127.64.0.4')
    there.opener.pipe.write(data(there.label, 0, Buffer.alloc(1_001)))
    expect(await there.opener.closeReason()).toBe('violation')
    expect(await there.acceptor.frame(FrameType.routeDown)).toBeDefined()
    expect([there.acceptor.isClosed, bystander.isClosed]).toEqual([false, false])
    expect(there.acceptor.frames.filter(({ type }) => type === FrameType.data)).toEqual([])
  })

  it('that takes credit back which it never had, or opens what is not its to open, is closed', async () => {
    const world = await start()
    const there = await stream(world)
    const frames = [
      encodeSignal(FrameType.reclaimed, 1, 9_000),
      encodeControl(FrameType.open, 2, 1_000, { to: '127.64.0.2', port: 7, id: 5 }), // even: the relay's
      encodeControl(FrameType.opened, 1, 1_000, { incarnation: incarnationOfA }),
      encodeSignal(FrameType.goAway, 0, 0),
    ]
    for (const frame of frames) {
      const attacker = await attached(world, freshAddress())
      attacker.pipe.write(encodeControl(FrameType.open, 1, 1_000, { to: '127.64.0.2', port: 7, id: 77 }))
      attacker.pipe.write(frame)
      expect(await attacker.closeReason()).toBe('violation')
    }
    await stillFlows(there)
  })

  it('that sends for a stream long ended is not harmed, and harms nobody', async () => {
    const world = await start()
    const there = await stream(world)
    const late = await attached(world, '127.64.0.4')
    await roundTrip(world, late, 1)
    late.pipe.write(data(1, 0, Buffer.alloc(5_000)))
    late.pipe.write(encodeSignal(FrameType.credit, 1, 9_000))
    await roundTrip(world, late, 3)
    expect(late.isClosed).toBe(false)
    await stillFlows(there)
  })

  it('never learns the address of an opener but from the relay: who a stream is from is not the opener’s to say', async () => {
    const world = await start()
    const { acceptor } = await stream(world)
    const opened = await acceptor.frame(FrameType.open)
    expect(decodeIncoming(opened?.payload as Buffer)).toMatchObject({
      from: '127.64.0.3',
      incarnation: incarnationOfA,
    })
  })
})

describe('without a token', () => {
  const upgrade = (port: number): string =>
    [
      'GET /link HTTP/1.1',
      `Host: 127.0.0.1:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      '\r\n',
    ].join('\r\n')

  /** A reset is an end too, where once() would throw. */
  const closed = (socket: net.Socket): Promise<void> =>
    new Promise((resolve) => socket.once('close', () => resolve()))

  async function sockets(port: number, count: number): Promise<net.Socket[]> {
    const all = Array.from({ length: count }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
    onTestFinished(() => {
      for (const one of all) one.destroy()
    })
    await Promise.all(all.map((one) => once(one, 'connect')))
    return all
  }

  async function attachMs(world: RelayWorld): Promise<number> {
    const beganMs = performance.now()
    await attached(world, '127.64.3.3')
    return performance.now() - beganMs
  }

  it('bad tokens by the hundred are all counted, fill no log, and are in none', async () => {
    const world = await start()
    const bad = `${await world.token()}x`
    for (let i = 0; i < 300; i++) {
      const link = await world.hello({ token: bad })
      await link.until(() => link.isClosed)
    }
    expect(world.relay.metrics.refusals.unauthorized).toBe(300)
    await world.relay.close()
    const lines = world.log.filter(({ msg }) => msg === 'link refused')
    expect(lines[0]).toMatchObject({
      reason: 'unauthorized',
      cause: expect.stringContaining('bad-signature'),
    })
    const sum = world.log.find(({ msg }) => msg === 'more links were refused, too many for a line each')
    expect(sum).toMatchObject({ reasons: { unauthorized: 300 - lines.length } })
    expect(lines.length).toBeLessThan(100)
    expect(JSON.stringify(world.log)).not.toContain(bad.slice(0, 40))
  })

  it('nobody learns which keys there are: an unknown one is refused in the same words', async () => {
    const world = await start()
    const [header = '', ...rest] = (await world.token()).split('.')
    const { kid, ...others } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }
    const told = async (name: string): Promise<string> => {
      const forged = Buffer.from(JSON.stringify({ ...others, kid: name })).toString('base64url')
      const link = await world.hello({ token: [forged, rest[0], 'A'.repeat(43)].join('.') })
      await link.until(() => link.isClosed)
      return link.frames.map(({ payload }) => payload.toString()).join()
    }
    expect(await told(kid)).toMatch(/bad-signature/)
    expect(await told('team-b-2026')).toBe(await told(kid))
    expect(JSON.stringify(world.log)).toContain('unknown-key')
  })

  it('compressed bombs over WebSocket are closed unread, and an honest endpoint attaches beside them', async () => {
    const world = await start()
    const bombs = await sockets(world.port, 100)
    // 32 MiB of zeros in 32 KiB: RSV1 set, masked with zeros.
    const packed = deflateRawSync(Buffer.alloc(32 * 1024 * 1024), { level: 9 })
    const head = Buffer.from([0xc2, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    head.writeUInt32BE(packed.length, 6)
    const allClosed = bombs.map(closed)
    for (const one of bombs)
      one.on('data', () => {}).write(Buffer.concat([Buffer.from(upgrade(world.port)), head, packed]))
    // Whoever has to wait for the crowd waits for its handshakes, 5 s.
    expect(await attachMs(world)).toBeLessThan(4_500)
    await Promise.all(allClosed)
  })

  it('a message of hundreds of parts over WebSocket ends it, before each part has pinned a read', async () => {
    const world = await start()
    const [socket] = await sockets(world.port, 1)
    if (socket === undefined) throw new Error('no socket')
    const ended = closed(socket)
    const began = performance.now()
    const masked = (first: number): Buffer => Buffer.from([first, 0x81, 0, 0, 0, 0, 7])
    const parts = [masked(0x02), ...Array.from({ length: 200 }, () => masked(0x00))]
    socket.once('data', () => socket.write(Buffer.concat(parts))).write(upgrade(world.port))
    await ended
    expect(performance.now() - began).toBeLessThan(3_000) // 5 s is the handshake's time
  })

  it('slow and huge headers hold nobody up', async () => {
    const world = await start({ handshakeMs: 4_000 })
    const slow = await sockets(world.port, 300)
    const huge = await sockets(world.port, 100)
    const ended = huge.map(closed)
    for (const one of slow) one.write('GET /healthz HTTP/1.1\r\nX-Slow: ')
    for (const one of huge)
      one.on('data', () => {}).write(`GET /healthz HTTP/1.1\r\nX-Huge: ${'x'.repeat(512 * 1024)}`)
    expect(await attachMs(world)).toBeLessThan(3_500)
    await Promise.all(ended)
    await Promise.all(slow.map((one) => (one.destroyed ? undefined : closed(one))))
  })
})
