/** The proxy that makes faults must make them, and nothing else. */
import { once } from 'node:events'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FaultProxy } from '../helper/fault-proxy.ts'
import { freePort } from '../helper/redis.ts'

/** A server that says back what it hears, and a proxy before it. */
async function start(
  random?: () => number,
): Promise<{ proxy: FaultProxy; dial: () => net.Socket; seen: net.Socket[] }> {
  const seen: net.Socket[] = []
  const server = net.createServer((socket) => {
    seen.push(socket)
    socket.on('error', () => {}).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const listen = `127.0.0.1:${await freePort()}`
  const proxy = await FaultProxy.start(listen, `127.0.0.1:${port}`, random)
  const dial = (): net.Socket => {
    const socket = net.connect(Number(listen.split(':')[1]), '127.0.0.1').on('error', () => {})
    onTestFinished(() => void socket.destroy())
    return socket
  }
  onTestFinished(async () => {
    await proxy.stop()
    server.close()
    for (const one of seen) one.destroy()
  })
  return { proxy, dial, seen }
}

const said = async (socket: net.Socket): Promise<string> => String((await once(socket, 'data'))[0])

describe('a fault proxy', () => {
  it('passes all bytes both ways, and the end', async () => {
    const { dial } = await start()
    const socket = dial()
    const all = text(socket)
    socket.end('x'.repeat(3_000_000))
    expect((await all).length).toBe(3_000_000)
  })

  it('delays and paces the links of one address only, which it reads from the token', async () => {
    const { proxy, dial } = await start()
    const claims = Buffer.from(JSON.stringify({ addr: '127.64.0.3' })).toString('base64url')
    const hello = `eyJhbGciOiJIUzI1NiJ9.${claims}.abcdefghijklmnopqrstuvwxyz`
    const slow = dial()
    slow.write(hello)
    await said(slow)
    expect(proxy.linksOf('127.64.0.3')).toHaveLength(1)
    proxy.shapeLinksOf('127.64.0.3', { latencyMs: 100, bytesPerSecond: 100_000 })
    const other = dial()
    const beganMs = performance.now()
    slow.write('x'.repeat(5_000))
    other.write('quick')
    expect(await said(other)).toBe('quick')
    const quickMs = performance.now() - beganMs
    await said(slow)
    const slowMs = performance.now() - beganMs
    expect(slowMs).toBeGreaterThan(240) // 100 ms and 50 ms of pacing, each way, but for what overlaps
    expect(quickMs).toBeLessThan(slowMs)
  })

  it('is silent from then on, also about ends', async () => {
    const { proxy, dial, seen } = await start()
    const socket = dial()
    socket.write('one')
    await said(socket)
    for (const link of proxy.links) link.silence('both')
    let heard = 0
    socket.on('data', () => (heard += 1))
    socket.write('two')
    seen[0]?.destroy()
    const beside = dial()
    beside.write('other links live')
    await said(beside)
    expect([heard, socket.destroyed]).toEqual([0, false])
  })

  it('cuts a link after so many bytes, and refuses as many dials as it is told', async () => {
    const { proxy, dial, seen } = await start()
    const socket = dial()
    socket.write('a')
    await said(socket)
    for (const link of proxy.links) link.cutAfter(10)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('x'.repeat(100))
    await closed
    proxy.refusedPercent = 100
    const refused = dial()
    await new Promise((resolve) => refused.once('close', resolve))
    expect([proxy.refused, seen.length]).toEqual([1, 1])
  })
})
