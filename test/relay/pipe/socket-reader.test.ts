import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Slab, SlabPool } from '../../../relay/pipe/slab.ts'
import {
  type OnRead,
  type ReadSocket,
  readAccepted,
  readByEvents,
  readDialled,
  type SocketReaderOptions,
} from '../../../relay/pipe/socket-reader.ts'

const KiB = 1024

/** Collects what a reader brings; `keep` retains every slab until `letGo`. */
class Collector {
  readonly pool = new SlabPool(64 * KiB, 2)
  readonly reads: number[] = []
  readonly starts: number[] = []
  readonly kept: { slab: Slab; start: number; end: number }[] = []
  bytes = Buffer.alloc(0)
  keep = false
  after: (() => void) | undefined
  #wake: (() => void) | undefined

  readonly onBytes: SocketReaderOptions['onBytes'] = (slab, start, end) => {
    this.reads.push(end - start)
    this.starts.push(start)
    if (this.keep) {
      slab.retain()
      this.kept.push({ slab, start, end })
    } else this.bytes = Buffer.concat([this.bytes, slab.bytes.subarray(start, end)])
    this.after?.()
    this.#wake?.()
  }

  get total(): number {
    return this.reads.reduce((sum, read) => sum + read, 0)
  }

  async until(bytes: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        if (this.total >= bytes) resolve()
      }
      this.#wake()
    })
  }
}

type Way = 'dialled' | 'accepted' | 'events'

/** A connection over loopback: `writer` is plain, `read` is under test. */
async function connect(
  way: Way,
  options: SocketReaderOptions,
): Promise<{ writer: net.Socket; read: ReadSocket; server: net.Server }> {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  let writer: net.Socket
  let read: ReadSocket
  if (way === 'dialled') {
    read = readDialled((onread: OnRead) => net.connect({ port, host: '127.0.0.1', onread }), options)
    writer = (await accepted)[0]
    writer.resume()
  } else {
    writer = net.connect(port, '127.0.0.1')
    const [socket] = await accepted
    read = way === 'accepted' ? readAccepted(socket, options) : readByEvents(socket, options)
  }
  onTestFinished(() => {
    writer.destroy()
    read.socket.destroy()
    server.close()
  })
  return { writer, read, server }
}

const ways: readonly Way[] = ['dialled', 'accepted', 'events']
describe.each(ways)('a %s socket', (way) => {
  it('brings all bytes in order, and nothing before resume()', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    const sent = randomFillSync(Buffer.alloc(3_000_000))
    writer.write(sent)
    for (let i = 0; i < 10; i += 1) await nextTurn()
    expect(collector.total).toBe(0)
    read.reader.resume()
    await collector.until(sent.length)
    expect(collector.bytes.equals(sent)).toBe(true)
  })

  it('leaves the headroom free before every read, and whole for the callee to write over', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, {
      ...collector,
      headroomBytes: 16,
      onBytes: collector.onBytes,
    })
    collector.keep = true
    read.reader.resume()
    const sent = randomFillSync(Buffer.alloc(1_000_000))
    writer.write(sent)
    await collector.until(sent.length)
    for (const { slab, start } of collector.kept) slab.bytes.fill(0xee, start - 16, start)
    const all = collector.kept.map(({ slab, start, end }) => slab.bytes.subarray(start, end))
    expect(Buffer.concat(all).equals(sent)).toBe(true)
    expect(Math.min(...collector.starts)).toBeGreaterThanOrEqual(16)
  })

  it('never reads more at once than maxReadBytes', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    read.reader.maxReadBytes = 5_000
    writer.write(Buffer.alloc(200_000))
    await nextTurn()
    // What is armed already may have been so before the limit.
    read.reader.resume()
    await collector.until(200_000)
    expect(Math.max(...collector.reads.slice(1))).toBeLessThanOrEqual(5_000)
  })

  it('stops at pause(), also from within onBytes, and goes on at resume()', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    collector.after = () => read.reader.pause()
    writer.write(Buffer.alloc(2_000_000))
    read.reader.resume()
    await collector.until(1)
    for (let i = 0; i < 20; i += 1) await nextTurn()
    const stopped = collector.total
    expect(stopped).toBeLessThan(2_000_000)
    for (let i = 0; i < 5; i += 1) await nextTurn()
    expect(collector.total).toBe(stopped)
    collector.after = undefined
    read.reader.resume()
    await collector.until(2_000_000)
  })

  it('tells of the end after the last byte, and gives its slab back', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    let bytesAtEnd = -1
    read.socket.once('end', () => {
      bytesAtEnd = collector.total
      read.socket.destroy()
    })
    read.reader.resume()
    writer.end(Buffer.alloc(500_000))
    await once(read.socket, 'close')
    expect(bytesAtEnd).toBe(500_000)
    expect(collector.pool.outstanding).toBe(0)
  })

  it('may be destroyed from within onBytes', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    collector.after = () => read.socket.destroy()
    writer.on('error', () => {})
    writer.write(Buffer.alloc(300_000))
    read.reader.resume()
    await once(read.socket, 'close')
    expect(collector.reads).toHaveLength(1)
    expect(collector.pool.outstanding).toBe(0)
  })
})

const buffered: readonly Way[] = ['dialled', 'accepted']
describe.each(buffered)('the buffers of a %s socket', (way) => {
  it('are none of the pool while it is quiet, one once it is busy, none again after small reads', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    read.reader.resume()
    writer.write('small')
    await collector.until(5)
    expect(read.reader.isBusy).toBe(false)
    expect(collector.pool.outstanding).toBe(0)
    writer.write(Buffer.alloc(1_000_000))
    await collector.until(1_000_005)
    expect(read.reader.isBusy).toBe(true)
    expect(collector.pool.outstanding).toBe(1)
    for (let i = 1; i <= 12; i += 1) {
      writer.write('x')
      await collector.until(1_000_005 + i)
    }
    expect(read.reader.isBusy).toBe(false)
    expect(collector.pool.outstanding).toBe(0)
    writer.write('and on')
    await collector.until(1_000_005 + 18)
    expect(collector.bytes.subarray(-18).toString()).toBe('xxxxxxxxxxxxand on')
  })

  it('are shared by quiet sockets without mixing what they bring', async () => {
    const one = new Collector()
    const two = new Collector()
    one.keep = true
    two.keep = true
    const a = await connect(way, one)
    const b = await connect(way, two)
    a.read.reader.resume()
    b.read.reader.resume()
    for (let i = 0; i < 50; i += 1) {
      a.writer.write(`a${i};`)
      b.writer.write(`b${i};`)
      await Promise.all([one.until(i + 1), two.until(i + 1)])
    }
    const text = (collector: Collector): string =>
      collector.kept.map(({ slab, start, end }) => slab.bytes.toString('latin1', start, end)).join('')
    await Promise.all([one.until(190), two.until(190)])
    expect(text(one)).toBe(Array.from({ length: 50 }, (_, i) => `a${i};`).join(''))
    expect(text(two)).toBe(Array.from({ length: 50 }, (_, i) => `b${i};`).join(''))
  })

  it('are not written over while someone keeps them', async () => {
    const collector = new Collector()
    collector.keep = true
    const { writer, read } = await connect(way, {
      pool: collector.pool,
      onBytes: collector.onBytes,
      headroomBytes: 16,
    })
    read.reader.resume()
    const sent = randomFillSync(Buffer.alloc(5_000_000))
    for (let at = 0; at < sent.length; at += 37_000) {
      writer.write(sent.subarray(at, at + 37_000))
      await nextTurn()
    }
    await collector.until(sent.length)
    const all = collector.kept.map(({ slab, start, end }) => slab.bytes.subarray(start, end))
    expect(Buffer.concat(all).equals(sent)).toBe(true)
    for (const { slab } of collector.kept) slab.release()
    expect(collector.pool.outstanding).toBe(read.reader.isBusy ? 1 : 0)
  })

  it('are used to their end when what came before is kept', async () => {
    const collector = new Collector()
    const { writer, read } = await connect(way, collector)
    read.reader.resume()
    writer.write(Buffer.alloc(100_000))
    await collector.until(100_000)
    expect(read.reader.isBusy).toBe(true)
    collector.keep = true
    for (let i = 1; i <= 4; i += 1) {
      writer.write(Buffer.alloc(8 * KiB))
      await collector.until(100_000 + i * 8 * KiB)
    }
    const slabs = new Set(collector.kept.map(({ slab }) => slab))
    expect(slabs.size).toBe(1)
    for (const { slab } of collector.kept) slab.release()
  })

  it('leave the loop to others after a full read when it is told to yield', async () => {
    const collector = new Collector()
    let isYielding = true
    const { writer, read } = await connect(way, {
      pool: collector.pool,
      onBytes: collector.onBytes,
      yieldWhen: () => isYielding,
    })
    let reads = 0
    let mostInOneTurn = 0
    collector.after = () => {
      reads += 1
      if (reads === 1)
        setImmediate(() => {
          reads = 0
        })
      mostInOneTurn = Math.max(mostInOneTurn, reads)
    }
    writer.write(Buffer.alloc(8_000_000))
    await nextTurn()
    read.reader.resume()
    await collector.until(8_000_000)
    expect(mostInOneTurn).toBeLessThanOrEqual(2)
    isYielding = false
    mostInOneTurn = 0
    writer.write(Buffer.alloc(8_000_000))
    await collector.until(16_000_000)
    expect(mostInOneTurn).toBeGreaterThan(2)
  })
})

describe('taking over an accepted socket', () => {
  it('takes its server one connection off, so that the server can close', async () => {
    const collector = new Collector()
    const { server } = await connect('accepted', collector)
    const closed = once(server, 'close')
    server.close()
    await closed
  })

  it('falls back to data events where the handle takes no buffer', async () => {
    const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const writer = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    Object.defineProperty((accepted as unknown as { _handle: object })._handle, 'useUserBuffer', {
      value: undefined,
    })
    const collector = new Collector()
    const { socket, reader } = readAccepted(accepted, collector)
    expect(socket).toBe(accepted)
    reader.resume()
    const sent = randomFillSync(Buffer.alloc(400_000))
    writer.end(sent)
    await collector.until(sent.length)
    expect(collector.bytes.equals(sent)).toBe(true)
    socket.destroy()
    server.close()
  })

  it('works on this Node without falling back', async () => {
    const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const writer = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    const { socket } = readAccepted(accepted, new Collector())
    expect(socket).not.toBe(accepted)
    expect(socket.remotePort).toBe((writer.address() as net.AddressInfo).port)
    socket.destroy()
    writer.destroy()
    server.close()
  })
})
