/** What a pipe is, whatever carries it. Run by test/relay/pipe/ over every transport. */
import { createHash, randomFillSync } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Pausable, Pipe } from '../../relay/pipe/pipe.ts'
import { Slab, SlabPool } from '../../relay/pipe/slab.ts'
import { PipeRecorder, type PipeWorld } from '../helper/pipe-world.ts'

const MiB = 1024 * 1024

interface Ends {
  readonly world: PipeWorld
  readonly dialled: Pipe & Pausable
  readonly accepted: Pipe
  readonly atDialled: PipeRecorder
  readonly atAccepted: PipeRecorder
}

/** What V8 keeps after a full collection, and buffers beside it, bytes. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect() // what the first found dead may be counted still
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function describePipe(name: string, start: () => Promise<PipeWorld>): void {
  const connect = async (): Promise<Ends> => {
    const world = await start()
    onTestFinished(() => world.stop())
    const { dialled, accepted } = await world.pair()
    const ends = { world, dialled, accepted, atDialled: new PipeRecorder(), atAccepted: new PipeRecorder() }
    dialled.start(ends.atDialled)
    accepted.start(ends.atAccepted)
    return ends
  }

  describe(`a pipe over ${name}`, () => {
    it('delivers bytes in order, both ways, whatever the size of the writes', async () => {
      const { dialled, accepted, atDialled, atAccepted } = await connect()
      const sizes = [
        1, 2, 15, 16, 17, 4095, 4096, 16_383, 16_384, 16_385, 65_536, 65_537, 262_144, 3, 700_001,
      ]
      const sent = sizes.map((size) => randomFillSync(Buffer.alloc(size)))
      for (const bytes of sent) {
        dialled.write(bytes)
        accepted.write(bytes)
        await nextTurn()
      }
      const all = Buffer.concat(sent)
      await atAccepted.until(() => atAccepted.bytes === all.length)
      await atDialled.until(() => atDialled.bytes === all.length)
      expect(sha256(atAccepted.all)).toBe(sha256(all))
      expect(sha256(atDialled.all)).toBe(sha256(all))
    })

    it('keeps what comes before start()', async () => {
      const world = await start()
      onTestFinished(() => world.stop())
      const { dialled, accepted } = await world.pair()
      const atDialled = new PipeRecorder()
      const atAccepted = new PipeRecorder()
      dialled.start(atDialled)
      dialled.write(Buffer.from('early'))
      accepted.write(Buffer.from('early too'))
      await atDialled.until(() => atDialled.bytes === 9)
      accepted.start(atAccepted)
      await atAccepted.until(() => atAccepted.bytes === 5)
      expect(atAccepted.all.toString()).toBe('early')
    })

    it('gathers what is written while corked, in order', async () => {
      const { dialled, atAccepted } = await connect()
      const parts = [20, 16, 70_000, 16, 5_000, 1, 16].map((size) => randomFillSync(Buffer.alloc(size)))
      dialled.cork()
      for (const part of parts) dialled.write(part)
      expect(dialled.queuedBytes).toBeGreaterThan(0)
      dialled.uncork()
      const all = Buffer.concat(parts)
      await atAccepted.until(() => atAccepted.bytes === all.length)
      expect(sha256(atAccepted.all)).toBe(sha256(all))
    })

    it('sends what is in no hurry behind what came before and ahead of what comes after, by itself too', async () => {
      const { dialled, atAccepted } = await connect()
      const part = (size: number): Buffer => randomFillSync(Buffer.alloc(size))
      const [first, soon, next, later, corked, last] = [20, 32, 70_000, 16, 5_000, 16].map(part) as [
        Buffer,
        Buffer,
        Buffer,
        Buffer,
        Buffer,
        Buffer,
      ]
      dialled.write(first)
      dialled.writeSoon(soon)
      dialled.write(next)
      dialled.writeSoon(later)
      dialled.cork()
      dialled.write(corked)
      dialled.uncork()
      dialled.writeSoon(last)
      const all = Buffer.concat([first, soon, next, later, corked, last])
      await atAccepted.until(() => atAccepted.bytes === all.length)
      expect(sha256(atAccepted.all)).toBe(sha256(all))
    })

    it.each([
      ['corked', (pipe: Pipe) => pipe.write(Buffer.from('last words'))],
      ['in no hurry', (pipe: Pipe) => pipe.writeSoon(Buffer.from('last words'))],
    ])('sends what was written %s before it ends', async (how, write) => {
      const { dialled, atAccepted } = await connect()
      if (how === 'corked') dialled.cork()
      write(dialled)
      dialled.end()
      if (how === 'corked') dialled.uncork()
      await atAccepted.until(() => atAccepted.closes === 1)
      expect(atAccepted.all.toString()).toBe('last words')
    })

    it('sends all that was written though it was corked while it was corked', async () => {
      const { dialled, atAccepted } = await connect()
      let sent = 0
      for (const last of ['write', 'writeSoon'] as const) {
        dialled.cork()
        dialled.cork()
        dialled.write(Buffer.alloc(100))
        dialled.uncork()
        dialled[last](Buffer.alloc(32))
        dialled.uncork()
        sent += 132
        await atAccepted.until(() => atAccepted.bytes === sent)
      }
      dialled.write(Buffer.alloc(10))
      await atAccepted.until(() => atAccepted.bytes === sent + 10)
      expect(dialled.queuedBytes).toBe(0)
    })

    it('puts what is in no hurry into one write a turn', async () => {
      const { dialled, atAccepted } = await connect()
      for (let at = 0; at < 50; at += 1) dialled.writeSoon(Buffer.alloc(16, at))
      expect(dialled.queuedBytes).toBe(800)
      await atAccepted.until(() => atAccepted.bytes === 800)
      expect(atAccepted.reads).toBe(1)
      await expect.poll(() => dialled.queuedBytes).toBe(0) // TLS hears of it later than the reader
    })

    it('forgets what is in no hurry when it ends, without a fault', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      dialled.writeSoon(Buffer.alloc(16))
      dialled.destroy()
      dialled.writeSoon(Buffer.alloc(16))
      await atDialled.until(() => atDialled.closes === 1)
      await nextTurn()
      await atAccepted.until(() => atAccepted.closes === 1)
      expect(atAccepted.bytes).toBe(0)
    })

    it('forwards slabs without losing or changing a byte, and gives every one of them back', async () => {
      const { world, dialled, accepted, atDialled, atAccepted } = await connect()
      atAccepted.onData = (slab, from, to) => accepted.write(slab.bytes.subarray(from, to), slab)
      const sent = randomFillSync(Buffer.alloc(24 * MiB))
      for (let at = 0; at < sent.length; at += 300_000) dialled.write(sent.subarray(at, at + 300_000))
      await atDialled.until(() => atDialled.bytes === sent.length)
      expect(sha256(atDialled.all)).toBe(sha256(sent))
      expect(accepted.queuedBytes).toBe(0)
      dialled.destroy()
      await atAccepted.until(() => atAccepted.closes === 1)
      await atDialled.until(() => atDialled.closes === 1)
      await nextTurn()
      expect(world.serverPool.outstanding).toBe(0)
      expect(world.clientPool.outstanding).toBe(0)
    })

    it('holds a slab until the kernel has its bytes, then says drained, once', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      const pool = new SlabPool(256 * 1024, 0)
      const count = 128
      for (let i = 0; i < count; i += 1) {
        const slab = pool.take()
        slab.bytes.fill(i)
        dialled.write(slab.bytes, slab)
        slab.release()
      }
      expect(dialled.queuedBytes).toBeGreaterThan(0)
      expect(pool.outstanding).toBeGreaterThan(0)
      await atDialled.until(() => atDialled.drains === 1)
      expect(dialled.queuedBytes).toBe(0)
      await atAccepted.until(() => atAccepted.bytes === count * pool.slabBytes)
      expect(pool.outstanding).toBe(0)
      expect(atDialled.drains).toBe(1)
      const all = atAccepted.all
      for (let i = 0; i < count; i += 1) expect(all[i * pool.slabBytes + 7]).toBe(i)
    })

    it('gives slabs back when it is destroyed with a backlog', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      const pool = new SlabPool(256 * 1024, 0)
      for (let i = 0; i < 128; i += 1) {
        const slab = pool.take()
        dialled.write(slab.bytes, slab)
        slab.release()
      }
      dialled.destroy()
      await atDialled.until(() => atDialled.closes === 1)
      expect(pool.outstanding).toBe(0)
      await atAccepted.until(() => atAccepted.closes === 1)
    })

    it.each(['corked', 'one by one'])(
      'is done with a slab as soon as the kernel has its bytes, %s',
      async (how) => {
        if (name !== 'tcp' && name !== 'unix' && how !== 'corked') return // those tell of it a moment later
        const { dialled, atAccepted } = await connect()
        const slab = new Slab(Buffer.alloc(256 * 1024, 2))
        for (let at = 0; at < 3; at += 1) {
          if (how === 'corked') dialled.cork()
          dialled.write(slab.bytes.subarray(0, 9_000), slab)
          dialled.write(slab.bytes.subarray(9_000, 9_016), slab)
          if (how === 'corked') dialled.uncork()
          // TLS may keep it until its records have left.
          if (dialled.queuedBytes === 0) expect(slab.isShared).toBe(false)
          else await expect.poll(() => slab.isShared).toBe(false)
        }
        await atAccepted.until(() => atAccepted.bytes === 3 * 9_016)
      },
    )

    it('does not pin a big slab for a small slice that has to wait', async () => {
      const { dialled, atAccepted } = await connect()
      const filler = Buffer.alloc(32 * MiB, 1)
      dialled.write(filler)
      expect(dialled.queuedBytes).toBeGreaterThan(0)
      const slab = new Slab(Buffer.alloc(256 * 1024, 2))
      dialled.write(slab.bytes.subarray(0, 100), slab)
      expect(slab.isShared).toBe(false)
      slab.bytes.fill(3)
      await atAccepted.until(() => atAccepted.bytes === filler.length + 100)
      expect(atAccepted.all.subarray(filler.length).equals(Buffer.alloc(100, 2))).toBe(true)
    })

    it('keeps many small writes that wait in little more than their bytes, and sends them in order', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      const filler = Buffer.alloc(32 * MiB, 1)
      dialled.write(filler)
      expect(dialled.queuedBytes).toBeGreaterThan(0)
      const count = 200_000
      const before = keptBytes()
      // As a relay gives them: each by itself, each a slice of another read, whose rest went elsewhere or nowhere.
      for (let at = 0; at < count; at += 1) {
        const slab = new Slab(Buffer.from(new ArrayBuffer(2_048), 100, 17))
        slab.bytes.writeUInt32BE(at)
        if (at % 3 === 0) dialled.cork()
        dialled.write(slab.bytes, slab)
        if (at % 3 === 2) dialled.uncork()
        if (at % 1_000 === 999) dialled.writeSoon(Buffer.alloc(17, 7))
      }
      dialled.uncork()
      // Twice what they are, and room for what V8 has not counted off yet; each by itself it was 20 to 140 times.
      expect(keptBytes() - before).toBeLessThan(10 * 17 * count)
      expect(dialled.queuedBytes).toBeGreaterThan(17 * count)
      const whole = filler.length + 17 * (count + count / 1_000)
      await atAccepted.until(() => atAccepted.bytes === whole)
      const small = atAccepted.all.subarray(filler.length)
      for (let at = 0, next = 0; next < count; next += 1, at += 17) {
        if (small.readUInt32BE(at) !== next) throw new Error(`write ${next} is not in its place`)
        if (next % 1_000 === 999) at += 17
      }
      await expect.poll(() => atDialled.drains).toBe(1)
      expect(dialled.queuedBytes).toBe(0)
    })

    it('end() sends what is queued, then both sides are closed without a reason', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      const sent = randomFillSync(Buffer.alloc(4 * MiB))
      dialled.write(sent)
      dialled.end()
      dialled.end()
      dialled.write(Buffer.from('too late'))
      await atAccepted.until(() => atAccepted.closes === 1)
      await atDialled.until(() => atDialled.closes === 1)
      expect(sha256(atAccepted.all)).toBe(sha256(sent))
      expect(atAccepted.error).toBeUndefined()
      expect(atDialled.error).toBeUndefined()
    })

    it('end() loses nothing though the other side is still sending', async () => {
      const { dialled, accepted, atAccepted } = await connect()
      accepted.write(Buffer.alloc(2 * MiB, 1)) // unread when the dialling side ends
      dialled.write(Buffer.from('the last words'))
      dialled.end()
      await atAccepted.until(() => atAccepted.closes === 1)
      expect(atAccepted.all.toString()).toBe('the last words')
    })

    it('destroy() ends both sides, each told once, and nothing comes after', async () => {
      const { dialled, accepted, atDialled, atAccepted } = await connect()
      accepted.destroy()
      accepted.destroy()
      await atDialled.until(() => atDialled.closes === 1)
      await atAccepted.until(() => atAccepted.closes === 1)
      dialled.write(Buffer.from('nobody'))
      dialled.end()
      dialled.destroy()
      await nextTurn()
      expect([atDialled.closes, atAccepted.closes]).toEqual([1, 1])
      expect(atAccepted.bytes).toBe(0)
    })

    it('delivers nothing while it is paused, lets the sender wait, and brings all of it afterwards', async () => {
      const { dialled, accepted, atDialled, atAccepted } = await connect()
      atDialled.onData = (slab, from, to) => {
        atDialled.chunks.push(Buffer.from(slab.bytes.subarray(from, to)))
        dialled.pause()
      }
      const sent = randomFillSync(Buffer.alloc(24 * MiB))
      accepted.write(sent)
      await atDialled.until(() => atDialled.bytes > 0)
      for (let last = -1; last !== atDialled.bytes; ) {
        last = atDialled.bytes
        await sleep(50)
      }
      expect(atDialled.bytes).toBeLessThan(MiB)
      expect(accepted.queuedBytes).toBeGreaterThan(8 * MiB)
      dialled.write(Buffer.from('still heard'))
      await atAccepted.until(() => atAccepted.bytes === 11)
      atDialled.onData = undefined
      dialled.resume()
      await atDialled.until(() => atDialled.bytes === sent.length)
      expect(sha256(atDialled.all)).toBe(sha256(sent))
    })

    it('ends in order though it is paused', async () => {
      const { dialled, atDialled, atAccepted } = await connect()
      dialled.pause()
      dialled.end()
      await atAccepted.until(() => atAccepted.closes === 1)
      await atDialled.until(() => atDialled.closes === 1)
      dialled.pause()
      dialled.resume()
    })

    it('tells of the end also when it was over before start()', async () => {
      const world = await start()
      onTestFinished(() => world.stop())
      const { dialled, accepted } = await world.pair()
      const atDialled = new PipeRecorder()
      dialled.start(atDialled)
      accepted.destroy()
      await atDialled.until(() => atDialled.closes === 1)
      const atAccepted = new PipeRecorder()
      accepted.start(atAccepted)
      await atAccepted.until(() => atAccepted.closes === 1)
    })
  })
}
