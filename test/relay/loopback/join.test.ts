/** What a stream promises its local sides, kept also where both are in one process. */
import { describe, expect, it } from 'vitest'
import type { IncomingStream, LocalSide } from '../../../relay/endpoint/types.ts'
import { openJoined } from '../../../relay/loopback/join.ts'
import { Slab } from '../../../relay/pipe/slab.ts'

class Recorder implements LocalSide {
  readonly heard: string[] = []
  opened(): void {
    this.heard.push('opened')
  }
  deliver(bytes: Buffer, start: number, end: number): void {
    this.heard.push(`bytes ${bytes.toString('latin1', start, end)}`)
  }
  ended(): void {
    this.heard.push('ended')
  }
  reset(reason: string): void {
    this.heard.push(`reset ${reason}`)
  }
  writable(): void {
    this.heard.push('writable')
  }
  closed(): void {
    this.heard.push('closed')
  }
}

const slabOf = (text: string): Slab => new Slab(Buffer.from(`${' '.repeat(16)}${text}`))
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('two sides joined in memory', () => {
  it('deliver what was sent before the other end accepted, in order', async () => {
    const [near, far] = [new Recorder(), new Recorder()]
    const incoming = Promise.withResolvers<IncomingStream>()
    const handle = openJoined('127.64.0.2', '127.64.0.2', 80, 'bulk', near, incoming.resolve)
    handle.send(slabOf('ab'), 16, 18)
    handle.end()
    const back = (await incoming.promise).accept(far)
    await settled()
    expect(far.heard).toEqual(['bytes ab', 'ended'])
    back.end()
    await settled()
    expect(near.heard).toEqual(['opened', 'ended', 'closed'])
    expect(far.heard).toEqual(['bytes ab', 'ended', 'closed'])
  })

  it('say no to more than the window and yes again once half of it has left', async () => {
    const [near, far] = [new Recorder(), new Recorder()]
    const incoming = Promise.withResolvers<IncomingStream>()
    const handle = openJoined('127.64.0.2', '127.64.0.2', 80, 'bulk', near, incoming.resolve)
    const back = (await incoming.promise).accept(far)
    await settled()
    const size = handle.sendRoom
    const slab = new Slab(Buffer.alloc(16 + size))
    expect(handle.send(slab, 16, 16 + size)).toBe(false)
    expect(handle.sendRoom).toBe(0)
    back.delivered(size / 4)
    expect(near.heard).not.toContain('writable')
    back.delivered(size / 4)
    expect(near.heard).toContain('writable')
  })

  it('tell a reset to the other end once, and nothing after it', async () => {
    const [near, far] = [new Recorder(), new Recorder()]
    const incoming = Promise.withResolvers<IncomingStream>()
    const handle = openJoined('127.64.0.2', '127.64.0.2', 80, 'bulk', near, incoming.resolve)
    const back = (await incoming.promise).accept(far)
    await settled()
    back.reset('aborted')
    back.reset('aborted')
    handle.reset('aborted')
    handle.send(slabOf('x'), 16, 17)
    await settled()
    expect(near.heard).toEqual(['opened', 'reset aborted'])
    expect(far.heard).toEqual([])
  })

  it('tell a rejection with its reason', async () => {
    const near = new Recorder()
    openJoined('127.64.0.2', '127.64.0.2', 80, 'bulk', near, (stream) => stream.reject('forbidden'))
    await settled()
    expect(near.heard).toEqual(['reset forbidden'])
  })
})
