/** Control messages arrive whole, in order and once, however the stream cuts them. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeMessage, MAX_MESSAGE_BYTES, MessageDecoder } from '../../../relay/loopback/message-codec.ts'
import { StreamChannel } from '../../../relay/loopback/messages.ts'
import type { MessageChannel } from '../../../relay/loopback/tunnel-types.ts'
import { World } from './world.ts'

const HEADROOM = 16
const bytesOf = (message: unknown): Buffer => encodeMessage(message).bytes.subarray(HEADROOM)

describe('the message decoder', () => {
  it('decodes any cutting of any sequence of messages to the same messages', () => {
    const message = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.record({ is: fc.string(), list: fc.array(fc.integer()) }),
    )
    fc.assert(
      fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
        const all = Buffer.concat(messages.map(bytesOf))
        const decoded: unknown[] = []
        const decoder = new MessageDecoder((one) => decoded.push(one))
        for (let at = 0, turn = 0; at < all.length; turn += 1) {
          const size = cuts[turn % Math.max(1, cuts.length)] ?? all.length
          // A buffer that is written over afterwards, as a slab is.
          const part = Buffer.from(all.subarray(at, at + size))
          decoder.push(part)
          part.fill(0xff)
          at += size
        }
        expect(decoded).toEqual(messages)
        expect(decoder.isClean).toBe(true)
      }),
    )
  })

  it('refuses a message that says it is over 1 MiB before any of it has come', () => {
    const decoder = new MessageDecoder(() => {})
    const length = Buffer.alloc(4)
    length.writeUInt32BE(MAX_MESSAGE_BYTES + 1)
    expect(() => decoder.push(length)).toThrow(/1048577 bytes came, allowed are 1048576/)
  })
})

describe('the message decoder, against a hostile peer,', () => {
  /** A message of these bytes, as it comes. */
  const framed = (body: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length)
    return Buffer.concat([length, body])
  }

  it('holds a message that comes byte by byte in little more than its size', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const liveBytes = (): number => {
      collect()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    const whole = framed(
      Buffer.concat([Buffer.from([0xdb, 0, 0x0f, 0xff, 0xfb]), Buffer.alloc(0xffffb, 'x')]),
    )
    expect(whole.length).toBe(4 + MAX_MESSAGE_BYTES)
    const heard: unknown[] = []
    const decoder = new MessageDecoder((message) => heard.push(message))
    const one = Buffer.alloc(1)
    const before = liveBytes()
    for (const byte of whole.subarray(0, -1)) {
      one[0] = byte
      decoder.push(one)
    }
    expect(liveBytes() - before).toBeLessThan(8 * MAX_MESSAGE_BYTES)
    decoder.push(whole.subarray(-1))
    expect(heard).toEqual(['x'.repeat(0xffffb)])
    expect(decoder.isClean).toBe(true)
  })

  it.each([
    ['a list that says it has ten million entries', Buffer.from([0xdd, 0, 0x98, 0x96, 0x80])],
    ['a map that says it has ten million', Buffer.from([0xdf, 0, 0x98, 0x96, 0x80])],
    [
      'a hundred thousand lists in each other',
      Buffer.concat([Buffer.alloc(100_000, 0x91), Buffer.from([1])]),
    ],
    ['an extension: a date', Buffer.from([0xd6, 0xff, 0, 0, 0, 1])],
    ['an extension: undefined', Buffer.from([0xd4, 0, 0])],
    ['an extension that defines a record', Buffer.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1])],
    ['bytes', Buffer.from([0xc4, 1, 1])],
    ['a message and something behind it', Buffer.from([1, 1])],
    ['a text that is cut', Buffer.from([0xa5, 0x61])],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s before it is decoded', (_what, body) => {
    const decoder = new MessageDecoder((message) => expect.unreachable(`it was heard: ${String(message)}`))
    expect(() => decoder.push(framed(body))).toThrow('a message is not plain msgpack')
  })

  it('takes whatever shim and agent say', () => {
    const traffic = { peer: '127.64.0.2', sentBytes: 2 ** 40, receivedBytes: 0.5, streams: 3 }
    const said = [
      { is: 'traffic', peers: [traffic, traffic], resumes: 0, shimResidentBytes: -1 },
      {
        is: 'exited',
        code: null,
        signal: 'SIGKILL',
        lastLines: ['ä'.repeat(70_000), ''],
        maxResidentBytes: 1,
      },
      { is: 'stop', reason: '', graceMs: 5_000 },
    ]
    const heard: unknown[] = []
    const decoder = new MessageDecoder((message) => heard.push(message))
    for (const message of said) decoder.push(bytesOf(message))
    expect(heard).toEqual(said)
  })
})

describe('a control stream', () => {
  let world: World
  beforeEach(() => {
    world = new World()
  })
  afterEach(() => world.end())

  /** The channel of the opener, and that of the peer once it is there. */
  async function channels(): Promise<{ near: MessageChannel; far: Promise<MessageChannel> }> {
    const far = Promise.withResolvers<MessageChannel>()
    await world.lane({ address: '127.64.0.1' }, { control: (_peer, channel) => far.resolve(channel) })
    const lane = await world.lane({ address: '127.64.0.2' })
    return { near: lane.openControl('127.64.0.1'), far: far.promise }
  }

  it('keeps messages that were sent before it was open, and their order', async () => {
    const { near, far } = await channels()
    for (let number = 0; number < 100; number += 1) near.send({ number, filling: 'x'.repeat(number * 500) })
    const heard: number[] = []
    const done = Promise.withResolvers<void>()
    ;(await far).onMessage((message) => {
      heard.push((message as { number: number }).number)
      if (heard.length === 100) done.resolve()
    })
    await done.promise
    expect(heard).toEqual(Array.from({ length: 100 }, (_, number) => number))
  })

  it('answers in the other direction and names its peer', async () => {
    const { near, far } = await channels()
    const answer = Promise.withResolvers<unknown>()
    near.onMessage(answer.resolve)
    const channel = await far
    expect(channel.peer).toBe('127.64.0.2')
    channel.send({ is: 'stop' })
    expect(await answer.promise).toEqual({ is: 'stop' })
  })

  it('tells a clean end to both, after the last message', async () => {
    const { near, far } = await channels()
    const channel = await far
    const heard: unknown[] = []
    channel.onMessage((message) => heard.push(message))
    const ends = [near, channel].map((end) => new Promise<Error | undefined>((resolve) => end.onEnd(resolve)))
    near.send('last words')
    near.close()
    expect(await Promise.all(ends)).toEqual([undefined, undefined])
    expect(heard).toEqual(['last words'])
  })

  it('keeps nothing for a side that closed unheard, and ends with a peer that goes on for ever', () => {
    const channel = new StreamChannel('127.64.0.9')
    const resets: string[] = []
    let credited = 0
    channel.bind(
      {
        class: 'urgent',
        peer: '127.64.0.9',
        port: 1,
        sendRoom: 1_000,
        send: () => true,
        end: () => {},
        delivered: (bytes) => {
          credited += bytes
        },
        reset: (reason) => void resets.push(reason),
      },
      true,
    )
    channel.close()
    const { bytes } = encodeMessage('x'.repeat(1024 * 1024 - 100))
    for (let count = 0; count < 9; count += 1) channel.deliver(bytes, HEADROOM, bytes.length)
    expect(resets).toEqual(['aborted'])
    expect(credited).toBeLessThan(8 * bytes.length)
    channel.onMessage(() => expect.unreachable('it was closed'))
  })

  it('ends with a reason when nobody takes control streams there', async () => {
    await world.lane({ address: '127.64.0.1' })
    const lane = await world.lane({ address: '127.64.0.2' })
    const end = new Promise<Error | undefined>((resolve) => lane.openControl('127.64.0.1').onEnd(resolve))
    expect((await end)?.message).toMatch(/127\.64\.0\.1 was reset: forbidden/)
  })

  it('is one of two that a peer may have at a time; where one has ended there is room again', async () => {
    const taken: MessageChannel[] = []
    await world.lane({ address: '127.64.0.1' }, { control: (_peer, channel) => void taken.push(channel) })
    const lane = await world.lane({ address: '127.64.0.2' })
    const other = await world.lane({ address: '127.64.0.3' })
    const endOf = (channel: MessageChannel) => new Promise<Error | undefined>((done) => channel.onEnd(done))
    const first = lane.openControl('127.64.0.1')
    lane.openControl('127.64.0.1')
    expect((await endOf(lane.openControl('127.64.0.1')))?.message).toMatch(/was reset: overloaded/)
    other.openControl('127.64.0.1')
    await expect.poll(() => taken.length).toBe(3)
    first.close()
    await endOf(first)
    lane.openControl('127.64.0.1')
    await expect.poll(() => taken.length).toBe(4)
    expect(taken.map(({ peer }) => peer)).toEqual(['127.64.0.2', '127.64.0.2', '127.64.0.3', '127.64.0.2'])
  })

  it('refuses to send a message over 1 MiB', async () => {
    const { near } = await channels()
    expect(() => near.send('x'.repeat(MAX_MESSAGE_BYTES))).toThrow(RangeError)
  })
})
