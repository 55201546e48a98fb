/** Two real TCP connections joined by a stream must end, break and wait like one. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createLane } from '../../../relay/loopback/create-lane.ts'
import { SocketSide } from '../../../relay/loopback/socket-side.ts'
import { Slab, SlabPool } from '../../../relay/pipe/slab.ts'
import {
  encodeControl,
  encodeGone,
  encodeSignal,
  FrameType,
  resetReasons,
} from '../../../relay/wire/index.ts'
import { quickest } from '../../helper/quickest.ts'
import { type ScriptedRelay, startScriptedRelay } from '../../helper/scripted-relay.ts'
import { freePort, quietLog, World } from './world.ts'

const near = '127.64.0.2'
const far = '127.64.0.3'
const MiB = 1024 * 1024

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

/** A client on one side and the connection that a server on the other side got from it. */
async function connected(): Promise<{ client: Socket; server: Socket; dial: () => Socket }> {
  const accepted = Promise.withResolvers<Socket>()
  const target = await world.server((socket) => accepted.resolve(socket))
  const port = await freePort()
  await world.lane({ address: near, ports: [port] })
  await world.lane({ address: far, serves: [{ port, target: { host: '::1', port: target } }] })
  const dial = (): Socket => connect({ host: far, port, allowHalfOpen: true })
  const client = dial()
  const server = await accepted.promise
  return { client, server, dial }
}

/** The error that a socket ends with. */
async function failureOf(socket: Socket): Promise<string | undefined> {
  socket.resume()
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return error.code
}

/** A side whose program is a server of this test, and a handle that counts what has left. */
async function boundSide(): Promise<{ side: SocketSide; server: Socket; delivered: () => number }> {
  const accepted = Promise.withResolvers<Socket>()
  const port = await world.server((socket) => accepted.resolve(socket))
  const side = SocketSide.dialled('::1', port, new SlabPool(64 * 1024, 1))
  await once(side.socket, 'connect')
  let delivered = 0
  side.bindOpen({
    peer: far,
    port,
    class: 'bulk',
    sendRoom: 0,
    send: () => false,
    end: () => {},
    reset: () => {},
    delivered: (bytes) => {
      delivered += bytes
    },
  })
  return { side, server: await accepted.promise, delivered: () => delivered }
}

describe('what one read brings for a socket', () => {
  it('leaves at its end, in one write, in order, and lets go of the slab', async () => {
    const { side, server, delivered } = await boundSide()
    const slab = new Slab(randomBytes(3_000))
    for (const [from, to] of [
      [0, 700],
      [716, 1_000],
      [1_016, 3_000],
    ] as const)
      side.deliver(slab.bytes, from, to, slab)
    expect(side.socket.bytesWritten).toBe(0)
    side.flush()
    side.ended()
    const sent = [slab.bytes.subarray(0, 700), slab.bytes.subarray(716, 1_000), slab.bytes.subarray(1_016)]
    const chunks: Buffer[] = []
    for await (const chunk of server) chunks.push(chunk as Buffer)
    expect(chunks).toHaveLength(1)
    expect(chunks[0]).toEqual(Buffer.concat(sent))
    await expect.poll(delivered).toBe(2_968)
    expect(slab.isShared).toBe(false)
    server.end()
  })

  it('leaves before the end of the stream that comes with it, and not after a reset', async () => {
    const { side, server } = await boundSide()
    const slab = new Slab(Buffer.from('last words'))
    side.deliver(slab.bytes, 0, 10, slab)
    side.ended()
    expect((await buffer(server)).toString()).toBe('last words')
    server.end()
    const other = await boundSide()
    const failure = failureOf(other.server)
    other.side.deliver(slab.bytes, 0, 10, slab)
    other.side.reset('gone')
    other.side.flush()
    expect(other.side.socket.bytesWritten).toBe(0)
    expect(slab.isShared).toBe(false)
    expect(await failure).toBe('ECONNRESET')
  })
})

describe('a socket behind a stream', () => {
  it('keeps the answer coming after the client has finished its half', async () => {
    const { client, server } = await connected()
    client.end('question')
    expect((await buffer(server)).toString()).toBe('question')
    server.end('answer')
    expect((await buffer(client)).toString()).toBe('answer')
  })

  it('keeps the question coming after the server has finished its half', async () => {
    const { client, server } = await connected()
    server.end('banner')
    expect((await buffer(client)).toString()).toBe('banner')
    client.end('question')
    expect((await buffer(server)).toString()).toBe('question')
  })

  it('resets the server when the client resets', async () => {
    const { client, server } = await connected()
    client.write('x')
    await once(server, 'data')
    const failure = failureOf(server)
    client.resetAndDestroy()
    expect(await failure).toBe('ECONNRESET')
  })

  it('resets the client when the server resets, at once', async () => {
    const resetMs = async (): Promise<number> => {
      const { client, server } = await connected()
      client.write('x')
      await once(server, 'data')
      const failure = failureOf(client)
      const before = performance.now()
      server.resetAndDestroy()
      expect(await failure).toBe('ECONNRESET')
      return performance.now() - before
    }
    expect(await quickest(50, resetMs)).toBeLessThan(50)
  })

  it('resets a writer whose reader has closed without reading', async () => {
    const { client, server } = await connected()
    server.destroy()
    const failure = failureOf(client)
    const block = randomBytes(MiB)
    // A program that has read the end hears of a reset only when it writes.
    const pump = (error?: Error | null): void => {
      if (!error && !client.destroyed) client.write(block, pump)
    }
    pump()
    expect(['ECONNRESET', 'EPIPE']).toContain(await failure)
  })

  it('resets the client of a port that nobody listens on, within 50 ms', async () => {
    const port = await freePort()
    const dead = await freePort()
    await world.lane({ address: near, ports: [port] })
    await world.lane({ address: far, serves: [{ port, target: { host: '::1', port: dead } }] })
    const resetMs = async (): Promise<number> => {
      const before = performance.now()
      expect(await failureOf(connect({ host: far, port }))).toBe('ECONNRESET')
      return performance.now() - before
    }
    expect(await quickest(50, resetMs)).toBeLessThan(50)
  })

  it('resets the client of an address that nobody has and of a port that nobody serves, within 50 ms', async () => {
    const port = await freePort()
    await world.lane({ address: near, ports: [port] })
    await world.lane({ address: far })
    for (const host of [far, '127.64.0.99']) {
      const resetMs = async (): Promise<number> => {
        const before = performance.now()
        expect(await failureOf(connect({ host, port }))).toBe('ECONNRESET')
        return performance.now() - before
      }
      expect(await quickest(50, resetMs), host).toBeLessThan(50)
    }
  })

  it('carries 100 MiB each way at once, byte for byte', async () => {
    const { client, server } = await connected()
    const send = async (socket: Socket): Promise<string> => {
      const hash = createHash('sha256')
      for (let sent = 0; sent < 100; sent += 1) {
        const block = randomBytes(MiB + sent) // odd sizes: cuts fall anywhere
        hash.update(block)
        if (!socket.write(block)) await once(socket, 'drain')
      }
      socket.end()
      return hash.digest('hex')
    }
    const receive = async (socket: Socket): Promise<string> => {
      const hash = createHash('sha256')
      for await (const chunk of socket) hash.update(chunk as Buffer)
      return hash.digest('hex')
    }
    const [fromClient, fromServer, atServer, atClient] = await Promise.all([
      send(client),
      send(server),
      receive(server),
      receive(client),
    ])
    expect(atServer).toBe(fromClient)
    expect(atClient).toBe(fromServer)
  })

  it('stops its writer while its reader is slow, and lets others pass', async () => {
    const { client, server, dial } = await connected()
    server.pause()
    let written = 0
    const block = randomBytes(MiB)
    const pump = (): void => {
      while (client.write(block)) written += block.length
      written += block.length
    }
    client.on('drain', pump)
    pump()
    // Kernel buffers and the window fill, then nothing moves any more.
    await expect.poll(() => client.writableLength).toBeGreaterThan(0)
    await expect
      .poll(
        async () => {
          const before = written
          await new Promise((resolve) => setTimeout(resolve, 100))
          return written - before
        },
        { timeout: 8_000 },
      )
      .toBe(0)
    expect(written).toBeLessThan(64 * MiB)
    const other = dial()
    other.write('hello')
    await once(other, 'connect')
    client.off('drain', pump)
    client.end()
    let received = 0
    for await (const chunk of server) received += (chunk as Buffer).length
    expect(received).toBe(written)
    other.destroy()
  })

  it('joins a program to its own server when it dials its own address', async () => {
    const target = await world.server((socket) => socket.pipe(socket))
    const port = await freePort()
    await world.lane({
      address: near,
      ports: [port],
      serves: [{ port, target: { host: '::1', port: target } }],
    })
    const client = connect({ host: near, port, allowHalfOpen: true })
    client.end('echo')
    expect((await buffer(client)).toString()).toBe('echo')
  })

  it('leaves no descriptor behind, and holds none for a peer that is idle', async () => {
    const target = await world.server((socket) => socket.pipe(socket))
    const port = await freePort()
    await world.lane({ address: near, ports: [port] })
    for (let peer = 10; peer < 60; peer += 1) {
      await world.lane({
        address: `127.64.0.${peer}`,
        serves: [{ port, target: { host: '::1', port: target } }],
      })
    }
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    const before = descriptors()
    for (let peer = 10; peer < 60; peer += 1) {
      const client = connect({ host: `127.64.0.${peer}`, port, allowHalfOpen: true })
      client.end('echo')
      expect((await buffer(client)).toString()).toBe('echo')
    }
    await expect.poll(descriptors).toBeLessThanOrEqual(before)
  })
})

describe('what a relay says of a stream', () => {
  /** A lane with its real endpoint, beside a relay that says what the test has it say. */
  async function overScriptedRelay(): Promise<{ relay: ScriptedRelay; port: number }> {
    const relay = await startScriptedRelay()
    const port = await freePort()
    const attached = Promise.withResolvers<void>()
    const lane = createLane(
      {
        class: 'bulk',
        address: near,
        incarnation: '0123456789abcdef',
        relays: [relay.url],
        ports: [port],
        serves: [],
        listen: 'wildcard',
        checkUid: false,
        maxPeerListeners: 256,
        limits: { goodbyeMs: 0 },
        tellsStreams: false,
      },
      () => 'a-token',
      {
        attached: () => attached.resolve(),
        detached: () => {},
        failed: ({ message }) => attached.reject(new Error(message)),
        streamOpened: () => {},
        control: undefined,
      },
      quietLog,
    )
    onTestFinished(() => lane.close())
    await lane.start()
    await attached.promise
    return { relay, port }
  }

  const gone = encodeGone({ address: far, incarnation: '' })
  const opened = (label: number): Buffer =>
    encodeControl(FrameType.opened, label, 65_536, { incarnation: 'fedcba9876543210' })

  // Each from the moment at which the last of the frames is written to the moment at which the program hears it.
  it.each<[what: string, frames: (label: number) => readonly Buffer[]]>([
    ['that nobody has the address', (label) => [encodeSignal(FrameType.reset, label, resetReasons.unknown)]],
    [
      'that the port is not served',
      (label) => [encodeSignal(FrameType.reset, label, resetReasons.forbidden)],
    ],
    ['that the peer is gone, while the stream is opened', () => [gone]],
    ['that the peer is gone, of an open stream', (label) => [opened(label), gone]],
  ])('%s reaches the program as a reset within 50 ms', async (_what, frames) => {
    const { relay, port } = await overScriptedRelay()
    const resetMs = async (): Promise<number> => {
      const client = connect({ host: far, port })
      await once(client, 'connect')
      const failure = failureOf(client)
      const said = frames(await relay.nextOpen())
      for (const frame of said.slice(0, -1)) relay.send(frame)
      expect(client.destroyed).toBe(false)
      const before = performance.now()
      relay.send(said.at(-1) as Buffer)
      expect(await failure).toBe('ECONNRESET')
      return performance.now() - before
    }
    expect(await quickest(50, resetMs)).toBeLessThan(50)
  })
})
