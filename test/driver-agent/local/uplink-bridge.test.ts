import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bridgeUplinks, type UplinkBridge } from '../../../driver-agent/local/uplink-bridge.ts'
import { FrameType, PREAMBLE } from '../../../relay/wire/header.ts'
import { makeCertificates } from '../../helper/certificates.ts'
import { startRelayWorld } from '../../helper/relay-world.ts'

const logger = pino({ level: 'silent' })
let dir: string
let bridge: UplinkBridge | undefined
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slr-bridge-'))
})
afterEach(() => {
  bridge?.close()
  rmSync(dir, { recursive: true, force: true })
})

function detourOf(bridge: UplinkBridge): string {
  return Object.values(bridge.detours)[0] as string
}

/** For a socket that is not read, which does not hear its end: what it writes then fails. */
function isCut(socket: Socket): boolean {
  socket.write('x')
  return socket.destroyed
}

describe('the way of a function to a relay elsewhere', () => {
  it.each(['tcp', 'ws'])('leads to one behind %s', async (scheme) => {
    const world = await startRelayWorld()
    bridge = await bridgeUplinks([`${scheme}://127.0.0.1:${world.port}`], dir, undefined, logger)
    const link = await world.hello({}, detourOf(bridge))
    expect(await link.frame(FrameType.welcome)).toBeDefined()
    await world.stop()
  })

  it.each(['tls', 'wss'])(
    'leads to one behind %s, whose certificate a private CA has signed',
    async (scheme) => {
      const certificates = makeCertificates()
      const world = await startRelayWorld({}, certificates)
      bridge = await bridgeUplinks([`${scheme}://localhost:${world.port}`], dir, certificates.caFile, logger)
      const link = await world.hello({}, detourOf(bridge))
      expect(await link.frame(FrameType.welcome)).toBeDefined()
      await world.stop()
      certificates.remove()
    },
  )

  it('leaves Unix sockets as they are', async () => {
    bridge = await bridgeUplinks(['unix:/somewhere/relay.sock'], dir, undefined, logger)
    expect(bridge.detours).toEqual({})
  })

  it('keeps no descriptor of a link that was lost while its function sent more than the relay took', async () => {
    const taken: Socket[] = []
    const relay = createServer((socket) => {
      socket.on('error', () => {})
      socket.pause()
      taken.push(socket)
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { port } = relay.address() as AddressInfo
    bridge = await bridgeUplinks([`tcp://127.0.0.1:${port}`], dir, undefined, logger)
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    const before = descriptors()
    for (let round = 1; round <= 5; round++) {
      const socket = connect(detourOf(bridge).slice('unix:'.length))
      socket.on('error', () => {})
      socket.write(PREAMBLE)
      const piece = Buffer.alloc(256 * 1024)
      await expect.poll(() => taken.length).toBe(round)
      for (let i = 0; i < 64; i++) socket.write(piece)
      await new Promise((resolve) => setTimeout(resolve, 100)) // the way is full, and the function not read from
      const over = new Promise((resolve) => socket.once('close', resolve))
      taken[round - 1]?.resetAndDestroy()
      socket.resume()
      await over
    }
    await expect.poll(descriptors).toBeLessThanOrEqual(before)
    relay.close()
  })

  it('lets the relay wait where the function does not read, and is cut when that goes on', async () => {
    const piece = Buffer.alloc(1024 * 1024)
    let taken = 0
    const relay = createServer((socket) => {
      const pour = (error?: Error | null): void => {
        if (error) return
        taken += piece.length
        socket.write(piece, pour)
      }
      socket.on('error', () => {}).resume()
      socket.write(piece, pour)
      socket.once('close', () => relay.close())
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { port } = relay.address() as AddressInfo
    const over = new Promise((resolve) => relay.once('close', resolve))
    bridge = await bridgeUplinks([`tcp://127.0.0.1:${port}`], dir, undefined, logger, 1_500)
    const socket = connect(detourOf(bridge).slice('unix:'.length))
    socket.on('error', () => {})
    socket.write(PREAMBLE)
    const began = performance.now()
    await over
    expect(performance.now() - began).toBeGreaterThan(1_400)
    // What the kernels hold between relay and bridge, and the bridge itself.
    expect(taken).toBeLessThan(32 * piece.length)
    await expect.poll(() => isCut(socket)).toBe(true)
  })

  it('keeps nothing for a function that does not read when the relay has ended the link', async () => {
    let ended: Promise<unknown> | undefined
    const relay = createServer((socket) => {
      ended = new Promise((resolve) => socket.once('close', resolve))
      socket.resume().end(Buffer.alloc(512 * 1024))
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { port } = relay.address() as AddressInfo
    bridge = await bridgeUplinks([`tcp://127.0.0.1:${port}`], dir, undefined, logger, 4_000)
    const socket = connect(detourOf(bridge).slice('unix:'.length))
    socket.on('error', () => {})
    socket.write(PREAMBLE)
    await expect.poll(() => ended).toBeDefined()
    await ended
    expect(isCut(socket)).toBe(false)
    await expect.poll(() => isCut(socket), { timeout: 15_000, interval: 100 }).toBe(true)
    relay.close()
  })

  it('carries every byte both ways, in order', async () => {
    const echo = createServer((socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    })
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
    const { port } = echo.address() as AddressInfo
    bridge = await bridgeUplinks([`tcp://127.0.0.1:${port}`], dir, undefined, logger)
    const sent = randomBytes(8 * 1024 * 1024)
    const hash = createHash('sha256')
    let toSkip = PREAMBLE.length // the echo of the dialer's
    let received = 0
    const socket = connect(detourOf(bridge).slice('unix:'.length))
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.on('data', (bytes) => {
        const content = bytes.subarray(Math.min(toSkip, bytes.length))
        toSkip -= bytes.length - content.length
        hash.update(content)
        received += content.length
        if (received === sent.length) resolve()
      })
      socket.write(PREAMBLE)
      socket.write(sent)
    })
    expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
    socket.destroy()
    await new Promise((resolve) => echo.close(resolve))
  })

  it('is closed at once where the relay is away, so that the function tries again', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    bridge = await bridgeUplinks([`tcp://127.0.0.1:${port}`], dir, undefined, logger)
    const socket = connect(detourOf(bridge).slice('unix:'.length))
    await new Promise((resolve) => socket.once('close', resolve))
  })
})
