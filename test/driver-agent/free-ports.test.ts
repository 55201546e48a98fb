import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { isPortFree, pickFreePorts } from '../../driver-agent/free-ports.ts'

describe('ports for an application', () => {
  it('are different ones, below the ephemeral range', async () => {
    const ports = await pickFreePorts(5)
    expect(new Set(ports).size).toBe(5)
    for (const port of ports) {
      expect(port).toBeGreaterThanOrEqual(10_000)
      expect(port).toBeLessThan(32_000)
    }
  })

  it.each(['0.0.0.0', '::1'])('are not those that are taken on %s', async (host) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen({ port: 0, host }, resolve))
    const { port } = server.address() as { port: number }
    expect(await isPortFree(port)).toBe(false)
    await new Promise((resolve) => server.close(resolve))
    expect(await isPortFree(port)).toBe(true)
  })

  it('end the search with a sentence when nothing is free', async () => {
    await expect(pickFreePorts(3, async () => false)).rejects.toMatchObject({
      name: 'SetupError',
      exitCode: 2,
      message: expect.stringMatching(
        /^no 3 ports between 10000 and 32000 can be bound .*; end what holds them/,
      ),
    })
  })
})
