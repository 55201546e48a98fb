import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { PREAMBLE } from '../../../relay/wire/header.ts'
import { makeCertificates, type TestCertificates } from '../../helper/certificates.ts'
import {
  neverAborted,
  PipeRecorder,
  type PipeWorld,
  type PipeWorldOptions,
  startPipeWorld,
} from '../../helper/pipe-world.ts'

let certificates: TestCertificates
beforeAll(() => {
  certificates = makeCertificates()
})
afterAll(() => certificates.remove())

async function start(options: Partial<PipeWorldOptions> = {}): Promise<PipeWorld> {
  const world = await startPipeWorld({ transport: 'tcp', ...options })
  onTestFinished(() => world.stop())
  return world
}

/** Unlike once(), indifferent to an error before the end. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    socket.resume()
  })
}

/** Says the rest once the first was answered. All that came until the connection was over. */
async function goOn(port: number, first: string, rest: string | Buffer): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {}) // a reset is an end as well
  socket.write(first)
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    if (heard === '') socket.write(rest)
    heard += text
  })
  await closed(socket)
  return heard
}

/** Connects, writes, and settles with what came back once the server closed. */
async function say(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
  })
  let said = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    said += text
  })
  for (const part of parts) socket.write(part)
  await closed(socket)
  return said
}

function get(port: number, path: string, method = 'GET'): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path, method, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on('error', reject)
    request.end()
  })
}

describe('one port for everything', () => {
  it('takes a native link whose preamble comes byte by byte, with what follows at once', async () => {
    const world = await start()
    const socket = net.connect(world.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setNoDelay(true)
    for (const byte of PREAMBLE) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.write('first frame')
    const { pipe, remote } = await world.nextAccepted()
    expect(remote).toBe('127.0.0.1')
    expect(pipe.name).toMatch(/^tcp 127\.0\.0\.1:\d+$/)
    const recorder = new PipeRecorder()
    pipe.start(recorder)
    await recorder.until(() => recorder.bytes === 11)
    expect(recorder.all.toString()).toBe('first frame')
    socket.destroy()
  })

  it('answers health, readiness and metrics, and what it has not with 404 and 405', async () => {
    const { port, metrics } = await start()
    expect(await get(port, '/healthz')).toEqual({ status: 200, text: 'ok\n' })
    expect(await get(port, '/readyz')).toEqual({ status: 200, text: 'ready\n' })
    expect(await get(port, '/metrics')).toEqual({ status: 200, text: 'figures\n' })
    expect((await get(port, '/nothing')).status).toBe(404)
    expect((await get(port, '/healthz', 'POST')).status).toBe(405)
    expect((await get(port, '/link')).status).toBe(426)
    expect(metrics.httpRequests).toEqual({ ok: 3, refused: 3 })
  })

  it('answers a request that comes in pieces, and one over a Unix socket', async () => {
    const world = await start()
    const answer = say(world.port, 'GET /he', 'althz HTTP/1.1\r\nHo', 'st: x\r\n\r\n')
    expect(await answer).toMatch(/^HTTP\/1\.1 200 OK/)
    const unix = await start({ transport: 'unix' })
    const socketPath = unix.url.replace('unix:', '')
    const request = http.get({ socketPath, path: '/metrics', agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.statusCode).toBe(200)
    response.resume()
  })

  it('answers one request a connection, whatever is sent behind it', async () => {
    const { port, metrics } = await start()
    const one = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
    expect((await say(port, one.repeat(20))).match(/200 OK/g)?.length ?? 0).toBeLessThanOrEqual(1)
    expect(metrics.httpRequests.ok).toBe(1)
    expect(await say(port, one.repeat(2_000))).toBe('')
    expect(metrics.sniffFailures.http).toBe(1)
    expect(metrics.httpRequests.ok).toBe(1)
  })

  it.each([
    ['expects something', 'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: y\r\n\r\n'],
    ['expects to go on', 'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n'],
    ['names no host', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['upgrades', 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n'],
  ])('answers one request a connection, also when each %s and comes behind an answer', async (_what, one) => {
    const { port } = await start()
    const answers = await goOn(port, one, one.repeat(300))
    expect(answers.match(/HTTP\/1\.1 /g)?.length).toBe(1)
  })

  it('closes garbage, TLS without a certificate and connections that say nothing, each counted', async () => {
    const { port, metrics } = await start()
    expect(await say(port, 'SSH-2.0-OpenSSH_9.6\r\n')).toBe('')
    expect(await say(port, Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05]))).toBe('')
    const mute = net.connect(port, '127.0.0.1')
    await once(mute, 'connect')
    mute.end()
    await closed(mute)
    expect(metrics.sniffFailures).toMatchObject({ garbage: 1, 'no-certificate': 1, closed: 1 })
    expect(metrics.unauthenticated).toBe(0)
    expect(metrics.accepted).toBe(3)
  })

  it('refuses headers over 8 KiB and requests that are none, each counted', async () => {
    const { port, metrics } = await start()
    expect(await say(port, `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431/)
    expect(await say(port, 'GET nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/)
    expect(metrics.sniffFailures.http).toBe(2)
  })

  it('closes what is slow: preamble, TLS, HTTP headers and a link without a token', async () => {
    const { port, metrics } = await start({ limits: { handshakeMs: 200 }, certificates })
    const began = performance.now()
    await Promise.all([
      say(port, PREAMBLE.subarray(0, 2)),
      say(port, Buffer.from([0x16, 0x03, 0x01, 0x02])),
      say(port, 'GET /healthz HTTP/1.1\r\n'),
      say(port, PREAMBLE),
      say(port),
    ])
    const tookMs = performance.now() - began
    expect(tookMs).toBeGreaterThan(195)
    expect(tookMs).toBeLessThan(4_500) // 5 s are what it would be without the limit
    expect(metrics.sniffFailures.slow).toBe(5)
    expect(metrics.unauthenticated).toBe(0)
  })

  it('leaves a link alone whose token was found good, however long it lives', async () => {
    const world = await start({ limits: { handshakeMs: 1_000 } })
    const { dialled, accepted } = await world.pair()
    const recorder = new PipeRecorder()
    dialled.start(recorder)
    accepted.start(new PipeRecorder())
    expect(world.metrics.unauthenticated).toBe(1)
    accepted.established?.('bulk')
    expect(world.metrics.unauthenticated).toBe(0)
    await say(world.port, PREAMBLE) // another one, that runs into the limit
    accepted.write(Buffer.from('still there'))
    await recorder.until(() => recorder.bytes === 11)
    expect(recorder.closes).toBe(0)
  })

  it('keeps room for an honest endpoint while one remote holds more sockets open than are allowed', async () => {
    const world = await start({ limits: { maxUnauthenticated: 100, maxUnauthenticatedPerRemote: 50 } })
    const idle = Array.from({ length: 300 }, () => net.connect(world.port, '127.0.0.1').on('error', () => {}))
    await Promise.all(idle.map((socket) => once(socket, 'connect')))
    const began = performance.now()
    const { dialled, accepted } = await world.pair()
    accepted.established?.('urgent')
    const recorder = new PipeRecorder()
    dialled.start(recorder)
    accepted.start(new PipeRecorder())
    accepted.write(Buffer.from('welcome'))
    await recorder.until(() => recorder.bytes === 7)
    // Whoever has to wait for the crowd waits for its handshakes, 5 s.
    expect(performance.now() - began).toBeLessThan(4_500)
    expect(world.metrics.unauthenticated).toBeLessThanOrEqual(50)
    expect(world.metrics.sniffFailures['too-many-remote']).toBeGreaterThanOrEqual(250)
    for (const socket of idle) socket.destroy()
  })
})

describe('TLS on that port', () => {
  it('demands TLS of links and requests that come from other machines', async () => {
    const { port, metrics } = await start({ host: '0.0.0.0', certificates, transport: 'tls' })
    await say(port, PREAMBLE)
    await say(port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(metrics.sniffFailures.plain).toBe(2)
  })

  it('still takes plain links on loopback beside it', async () => {
    const world = await start({ certificates })
    const dialled = await world.dialer.dial(`tcp://127.0.0.1:${world.port}`, neverAborted)
    const { pipe } = await world.nextAccepted()
    expect(pipe.name).toMatch(/^tcp /)
    dialled.destroy()
  })

  it('tells native links from HTTP also for a client that names no protocol', async () => {
    const world = await start({ certificates })
    const socket = tls.connect({
      port: world.port,
      host: '127.0.0.1',
      ca: certificates.cert,
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    expect(socket.getCipher().standardName).toBe('TLS_AES_128_GCM_SHA256') // the cheapest
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200/)
    socket.destroy()
  })

  it('closes a client that said one protocol and speaks the other', async () => {
    const { port, metrics } = await start({ certificates })
    for (const [protocol, bytes] of [
      ['slr/1', 'GET / HTTP/1.1\r\n\r\n'],
      ['http/1.1', PREAMBLE],
    ] as const) {
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ALPNProtocols: [protocol],
      })
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      socket.write(bytes)
      await closed(socket)
    }
    expect(metrics.sniffFailures.garbage).toBe(2)
  })

  it('counts a handshake that fails, and one within another', async () => {
    const { port, metrics } = await start({ certificates })
    await say(port, Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0x20]), Buffer.alloc(0x20, 0xaa)]))
    const h2 = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    h2.on('error', () => {})
    await closed(h2)
    expect(metrics.sniffFailures.tls).toBe(2)
    const outer = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    outer.on('error', () => {})
    await once(outer, 'secureConnect')
    outer.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0x20]))
    await closed(outer)
    expect(metrics.sniffFailures['no-certificate']).toBe(1)
  })
})

describe('WebSocket links on that port', () => {
  it('upgrade at /link only', async () => {
    const { port, metrics } = await start()
    const wrong = new WebSocket(`ws://127.0.0.1:${port}/elsewhere`)
    const [error] = (await once(wrong, 'error')) as [Error]
    expect(error.message).toContain('404')
    expect(metrics.httpRequests.refused).toBe(1)
  })

  it('are closed for a message over 65 KiB, for text, and never compressed', async () => {
    const world = await start()
    for (const message of [Buffer.alloc(66 * 1024), 'text']) {
      const client = new WebSocket(`ws://127.0.0.1:${world.port}/link`)
      const { pipe } = await world.nextAccepted()
      const recorder = new PipeRecorder()
      pipe.start(recorder)
      if (client.readyState !== WebSocket.OPEN) await once(client, 'open')
      client.send(message)
      client.on('error', () => {})
      await recorder.until(() => recorder.closes === 1)
      expect(recorder.error).toBeInstanceOf(Error)
      expect(recorder.bytes).toBe(0)
    }
    const compressing = new WebSocket(`ws://127.0.0.1:${world.port}/link`, { perMessageDeflate: true })
    await once(compressing, 'open')
    expect(compressing.extensions).toBe('')
    compressing.terminate()
  })

  it('may go through HTTP that knows nothing of links: a request with a query, ping and pong', async () => {
    const world = await start()
    const client = new WebSocket(`ws://127.0.0.1:${world.port}/link?via=proxy`)
    const { pipe } = await world.nextAccepted()
    pipe.start(new PipeRecorder())
    if (client.readyState !== WebSocket.OPEN) await once(client, 'open')
    client.ping()
    await once(client, 'pong')
    client.terminate()
  })
})

describe('dialling', () => {
  const dial = (url: string, tlsCaFile?: string) => createPipeDialer({ tlsCaFile }).dial(url, neverAborted)

  it('refuses what is no URL of a relay', async () => {
    for (const url of ['http://relay:1', 'tcp://relay', 'relay:7100', 'tcp://u:p@relay:1', 'unix:relative']) {
      await expect(dial(url)).rejects.toMatchObject({ code: 'url' })
    }
  })

  it('fails with what went wrong: nobody there, no such file, wrong CA, wrong name, expired', async () => {
    await expect(dial('tcp://127.0.0.1:1')).rejects.toMatchObject({ code: 'network' })
    await expect(dial('ws://127.0.0.1:1')).rejects.toMatchObject({ code: 'network' })
    await expect(dial('unix:/nowhere/relay.sock')).rejects.toMatchObject({ code: 'network' })
    await expect(dial('tls://127.0.0.1:1', '/nowhere/ca.pem')).rejects.toMatchObject({ code: 'file' })
    const { port, metrics } = await start({ certificates, transport: 'tls' })
    for (const scheme of ['tls', 'wss']) {
      await expect(dial(`${scheme}://127.0.0.1:${port}`)).rejects.toMatchObject({
        code: 'tls',
        message: expect.stringMatching(/--tls-ca/),
      })
      // Seen when it leaves, not when its time for a handshake is over.
      await expect.poll(() => metrics.sniffFailures.tls).toBe(scheme === 'tls' ? 1 : 2)
    }
    for (const bad of [makeCertificates(['DNS:elsewhere']), makeCertificates(undefined, -1)]) {
      const world = await start({ certificates: bad, transport: 'tls' })
      await expect(dial(`tls://127.0.0.1:${world.port}`, bad.caFile)).rejects.toMatchObject({ code: 'tls' })
      await expect(dial(`wss://127.0.0.1:${world.port}`, bad.caFile)).rejects.toMatchObject({ code: 'tls' })
      bad.remove()
    }
  })

  it('fails where TLS is spoken but no link protocol', async () => {
    const server = tls.createServer({ cert: certificates.cert, key: certificates.key }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    await expect(dial(`tls://127.0.0.1:${port}`, certificates.caFile)).rejects.toMatchObject({ code: 'tls' })
    server.close()
  })

  it('fails where HTTP is spoken but nothing is upgraded', async () => {
    const server = http
      .createServer((_request, response) => response.writeHead(404).end())
      .listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    await expect(dial(`ws://127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'http' })
    server.close()
  })

  it('stops when it is told to, and leaves no socket behind', async () => {
    const mute = net.createServer().listen(0, '127.0.0.1') // accepts and never answers
    await once(mute, 'listening')
    const { port } = mute.address() as net.AddressInfo
    for (const scheme of ['tls', 'ws', 'wss']) {
      const controller = new AbortController()
      const dialling = createPipeDialer().dial(`${scheme}://127.0.0.1:${port}`, controller.signal)
      const [socket] = (await once(mute, 'connection')) as [net.Socket]
      socket.on('error', () => {})
      controller.abort(new Error('enough'))
      await expect(dialling).rejects.toThrow('enough')
      if (!socket.destroyed) await closed(socket)
    }
    mute.close()
  })
})
