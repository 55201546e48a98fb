import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
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
