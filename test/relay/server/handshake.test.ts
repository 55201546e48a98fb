import { once } from 'node:events'
import net from 'node:net'
import { SignJWT, UnsecuredJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RelayOptions } from '../../../cli/options/index.ts'
import { expiryIn, generateKeyLine, parseKeys, type SigningKey } from '../../../relay/token/index.ts'
import { encodeSignal } from '../../../relay/wire/control.ts'
import { FrameType, HEADER_BYTES, PREAMBLE, writeHeader } from '../../../relay/wire/header.ts'
import { type RelayWorld, startRelayWorld, testApp } from '../../helper/relay-world.ts'

async function start(options: Partial<RelayOptions> = {}): Promise<RelayWorld> {
  const world = await startRelayWorld(options)
  onTestFinished(() => world.stop())
  return world
}

function header(type: number, length: number, label: number, offset = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  writeHeader(bytes, 0, type, length, label, offset)
  return bytes
}

const claims = { app: testApp, addr: '127.64.0.2', gen: 1, role: 'executor', exp: expiryIn(600_000) }
const nowSeconds = Math.floor(Date.now() / 1000)
const strange = parseKeys(generateKeyLine('test', '*'), 'test')[0] as SigningKey
const narrow = parseKeys(generateKeyLine('narrow', '*'), 'test')[0] as SigningKey

describe('a token', () => {
  it('that is good is welcomed, and only then counted as a link', async () => {
    const world = await start()
    const link = await world.hello()
    expect(await link.frame(FrameType.welcome)).toBeDefined()
    expect(world.relay.metrics.links.urgent.attached).toBe(1)
    expect(world.relay.metrics.unauthenticated).toBe(0)
  })

  const bad: readonly [
    what: string,
    reason: string,
    token: (world: RelayWorld) => Promise<string> | string,
  ][] = [
    ['that is missing', 'unauthorized', () => ''],
    ['that is no token', 'unauthorized', () => 'x'.repeat(3_000)],
    [
      'whose payload was changed',
      'unauthorized',
      async (world) => {
        const [head, , signature] = (await world.token()).split('.')
        const body = Buffer.from(JSON.stringify({ ...claims, role: 'driver' })).toString('base64url')
        return `${head}.${body}.${signature}`
      },
    ],
    ['with alg none', 'unauthorized', () => new UnsecuredJWT({ ...claims }).encode()],
    [
      'with another algorithm',
      'unauthorized',
      (world) =>
        new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS512', kid: 'test' }).sign(world.key.secret),
    ],
    [
      'signed by a key of the same name that is not ours',
      'unauthorized',
      (world) => world.token({}, strange),
    ],
    [
      'that names a key nobody has',
      'unauthorized',
      (world) => world.token({}, { ...world.key, name: 'nobody' }),
    ],
    ['whose time is over', 'expired', (world) => world.token({ exp: nowSeconds - 120 })],
    ['whose time has not come', 'expired', (world) => world.token({ nbf: nowSeconds + 120 })],
    [
      'signed outside the prefix of its key',
      'forbidden',
      (world) => world.token({ app: 'foreign-app' }, { ...world.key, prefix: '*' }),
    ],
  ]
  it.each(bad)('%s is refused as %s, counted, and leaves nothing behind', async (_what, reason, token) => {
    const world = await start()
    const link = await world.hello({ token: await token(world) })
    expect(await link.closeReason()).toBe(reason)
    expect(link.frames.some(({ type }) => type === FrameType.welcome)).toBe(false)
    expect(world.relay.metrics.refusals[reason as 'expired']).toBe(1)
    expect(world.relay.core.tableSizes).toEqual({ links: 0, labels: 0, residences: 0, parked: 0 })
    // The relay sees the end of the socket after we do.
    await expect.poll(() => world.relay.metrics.unauthenticated).toBe(0)
  })

  it('says nothing of itself or its key in the sentence that the peer gets', async () => {
    const world = await start()
    const token = await world.token({}, narrow)
    const link = await world.hello({ token })
    await link.closeReason()
    const sentence = link.frames.find(({ type }) => type === FrameType.close)?.payload.toString() ?? ''
    expect(sentence).not.toBe('')
    for (const part of token.split('.')) expect(sentence).not.toContain(part)
  })
})

describe('another process with a good token of the same generation', () => {
  it('is refused while the lease lives, and a higher generation takes the address over', async () => {
    const world = await start()
    const first = await world.hello()
    await first.frame(FrameType.welcome)
    const thief = await world.hello()
    expect(await thief.closeReason()).toBe('taken')
    expect(first.isClosed).toBe(false)
    const successor = await world.hello({ token: await world.token({ gen: 2 }) })
    expect(await successor.frame(FrameType.welcome)).toBeDefined()
    expect(await first.closeReason()).toBe('superseded')
    const late = await world.hello()
    expect(await late.closeReason()).toBe('retired')
  })

  it('in another application meets nobody: the same address twice', async () => {
    const world = await start()
    const first = await world.hello()
    const other = await world.hello({ token: await world.token({ app: 'spark-other' }) })
    expect(await first.frame(FrameType.welcome)).toBeDefined()
    expect(await other.frame(FrameType.welcome)).toBeDefined()
  })
})

describe('bad frames', () => {
  const before: readonly [what: string, bytes: Buffer][] = [
    ['an unknown frame', header(0x7f, 0, 0)],
    ['a frame other than HELLO', encodeSignal(FrameType.ping, 0, 0)],
    ['DATA', Buffer.concat([header(FrameType.data, 4, 1), Buffer.from('data')])],
    ['a HELLO over 8 KiB', header(FrameType.hello, 9_000, 0)],
    [
      'a HELLO that is no msgpack',
      Buffer.concat([header(FrameType.hello, 4, 0), Buffer.from([0xc1, 1, 2, 3])]),
    ],
    ['zeros', Buffer.alloc(4_096)],
  ]
  it.each(before)('before the handshake (%s) close the link as a violation', async (_what, bytes) => {
    const world = await start()
    const other = await world.hello()
    await other.frame(FrameType.welcome)
    const socket = net.connect(world.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(Buffer.concat([PREAMBLE, bytes]))
    const got: Buffer[] = []
    socket.on('data', (chunk) => got.push(chunk))
    await new Promise((resolve) => socket.once('close', resolve))
    expect(Buffer.concat(got)[0]).toBe(FrameType.close)
    expect(world.relay.metrics.refusals.violation).toBe(1)
    expect(other.isClosed).toBe(false)
    expect(world.relay.core.linkCount).toBe(1)
  })

  const after: readonly [what: string, bytes: Buffer][] = [
    ['an unknown frame', header(0x7f, 0, 0)],
    ['a second HELLO', header(FrameType.hello, 0, 0)],
    ['DATA for a label never opened', Buffer.concat([header(FrameType.data, 4, 77), Buffer.from('data')])],
    ['DATA over 1 MiB', header(FrameType.data, (1 << 20) + 1, 2)],
    ['a control frame over 64 KiB', header(FrameType.open, 70_000, 2)],
    [
      'an offset over 2^53',
      Buffer.concat([header(FrameType.ack, 0, 2).subarray(0, 8), Buffer.alloc(8, 0xff)]),
    ],
  ]
  it.each(after)('after it (%s) close that link alone, with the reason', async (_what, bytes) => {
    const world = await start()
    const other = await world.hello()
    await other.frame(FrameType.welcome)
    const link = await world.hello({ token: await world.token({ addr: '127.64.0.3' }) })
    await link.frame(FrameType.welcome)
    link.pipe.write(bytes)
    expect(await link.closeReason()).toBe('violation')
    expect(world.relay.metrics.closes.violation).toBe(1)
    expect(other.isClosed).toBe(false)
  })

  it('that are only begun are waited for, no longer than the handshake time', async () => {
    const world = await start({ handshakeMs: 300 })
    const socket = net.connect(world.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(Buffer.concat([PREAMBLE, header(FrameType.hello, 500, 0), Buffer.alloc(10)]))
    const got: Buffer[] = []
    socket.on('data', (chunk) => got.push(chunk))
    const began = performance.now()
    await new Promise((resolve) => socket.once('close', resolve))
    expect(performance.now() - began).toBeLessThan(4_500) // 5 s are what it would be without the limit
    expect(Buffer.concat(got)[0]).toBe(FrameType.close)
    expect(world.relay.metrics.refusals.timeout).toBe(1)
  })
})

describe('limits', () => {
  it('refuse links over --max-links as overloaded', async () => {
    const world = await start({ maxLinks: 2 })
    for (const addr of ['127.64.0.2', '127.64.0.3']) {
      const link = await world.hello({ token: await world.token({ addr }) })
      await link.frame(FrameType.welcome)
    }
    const third = await world.hello({ token: await world.token({ addr: '127.64.0.4' }) })
    expect(await third.closeReason()).toBe('overloaded')
    expect(world.relay.metrics.refusals.overloaded).toBe(1)
  })

  it('keep the relay open to an endpoint behind a crowd that says nothing', async () => {
    const world = await start({ maxUnauthenticated: 200 })
    const crowd = Array.from({ length: 600 }, () =>
      net.connect(world.port, '127.0.0.1').on('error', () => {}),
    )
    await Promise.all(crowd.map((socket) => once(socket, 'connect')))
    for (const socket of crowd) socket.write(PREAMBLE)
    const began = performance.now()
    const link = await world.hello()
    expect(await link.frame(FrameType.welcome)).toBeDefined()
    // Whoever has to wait for the crowd waits for its handshakes, 5 s.
    expect(performance.now() - began).toBeLessThan(4_500)
    expect(world.relay.metrics.unauthenticated).toBeLessThanOrEqual(200)
    for (const socket of crowd) socket.destroy()
  })
})

describe('a relay that drains', () => {
  it('says so in /readyz and to links that come, and lets those go that are there', async () => {
    const world = await start({ drainMs: 20_000 })
    const link = await world.hello()
    await link.frame(FrameType.welcome)
    const drained = world.relay.drain()
    expect(await link.frame(FrameType.goAway)).toBeDefined()
    const ready = await fetch(`http://127.0.0.1:${world.port}/readyz`)
    expect(ready.status).toBe(503)
    const late = await world.hello({ token: await world.token({ addr: '127.64.0.9' }) })
    expect(await late.closeReason()).toBe('draining')
    link.pipe.end()
    await drained
  })
})
