/** What others suffer when one of them, with a good token, sends what it should not: nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  closeReasons,
  decodeResume,
  encodeControl,
  encodeResume,
  encodeResumed,
  encodeRetire,
  encodeWatch,
  FrameType,
  type ResumeEntry,
  resetReasons,
} from '../../relay/wire/index.ts'
import { RawLink } from './raw-link.ts'
import { type Script, Talker } from './talker.ts'
import { type Conversation, type SimEndpoint, World } from './world.ts'

const chatty: Script = { writes: 5_000, pieceBytes: 500, pauseMs: 4, readDelayMs: 0 }
/** A port behind which bob has a program of its own for whoever comes. */
const SERVED = 5_000
const limits = { initialWindowBytes: 4_096, ackDelayMs: 5 }

function expectComplete({ opener, acceptors }: Conversation): void {
  expect([opener.ending, acceptors[0]?.talker.ending]).toEqual([{ is: 'closed' }, { is: 'closed' }])
  expect([opener.fault, acceptors[0]?.talker.fault]).toEqual([undefined, undefined])
}

interface Talks {
  readonly world: World
  readonly alice: SimEndpoint
  readonly mallory: RawLink
  readonly good: Conversation
  readonly bad: Conversation
}

/** Alice opens a stream to bob, `good`, and one to mallory, `bad`, who has not answered yet. */
async function startTalks(): Promise<Talks> {
  const world = new World({ isVerbose: true })
  const alice = world.endpoint({ address: '127.64.0.1', limits })
  const bob = world.endpoint({ address: '127.64.0.2', limits })
  const mallory = new RawLink(world, world.relay, 'mallory')
  mallory.hello('127.64.0.66')
  await world.pass(20)
  const good = world.talk(alice, bob.address, chatty, chatty)
  const bad = world.talk(alice, '127.64.0.66', { ...chatty, keepsOpen: true }, 'refuses')
  await world.pass(10)
  return { world, alice, mallory, good, bad }
}

/** Opens a stream to itself, and says `type` on it. */
function openAnd(mallory: RawLink, type: number): void {
  mallory.send(encodeControl(FrameType.open, 1, 0, { to: '127.64.0.66', port: 9, id: 1 }))
  mallory.signal(type, 1, 0)
}

const label = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffff_ffff }))
const offset = fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.maxSafeNat())
const to = fc.constantFrom('127.64.0.1', '127.64.0.2', '127.64.0.66', '127.64.7.7')
const entry = fc.record({
  label: fc.integer({ min: 1, max: 99 }),
  id: fc.nat({ max: 5 }),
  generation: fc.nat({ max: 5 }),
  received: offset,
  limit: offset,
  port: fc.constantFrom(0, SERVED),
})
const incarnation = fc.constantFrom('', 'bad0bad0bad0bad0', '0000000000000001', '0000000000000002')

/** Well-formed frames, out of any turn, and bytes that are none. */
const frame: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(label, offset, to, fc.constantFrom(SERVED, 9), fc.nat({ max: 5 }))
    .map(([on, credit, address, port, id]) =>
      encodeControl(FrameType.open, on, credit, { to: address, port, id }),
    ),
  fc
    .tuple(label, offset)
    .map(([on, credit]) => encodeControl(FrameType.opened, on, credit, { incarnation: 'feedfeedfeedfeed' })),
  fc
    .record({ peer: to, incarnation, entries: fc.array(entry, { maxLength: 4 }) })
    .map((resume) => encodeResume(resume)),
  fc
    .record({
      incarnation: fc.constant('feedfeedfeedfeed'),
      entries: fc.array(
        fc.record({
          label: fc.integer({ min: 1, max: 9 }),
          generation: fc.nat({ max: 3 }),
          status: fc.constantFrom('live' as const, 'ended' as const, 'lost' as const),
          received: offset,
          limit: offset,
        }),
        { maxLength: 4 },
      ),
    })
    .map((resumed) => encodeResumed(resumed)),
  fc
    .array(fc.record({ address: to, incarnation: fc.constant('0000000000000001') }), { maxLength: 5 })
    .map((peers) => encodeWatch({ peers })),
  fc.constant(encodeRetire({ address: '127.64.0.1', generation: 9 })),
  fc
    .tuple(fc.constantFrom(...Object.values(FrameType)), label, offset)
    .map(([type, on, at]) => encodeControl(type, on, at, undefined).subarray(0, 16).fill(0, 1, 4)),
  fc.tuple(label, offset, fc.integer({ min: 1, max: 300 })).map(([on, at, length]) => {
    const bytes = encodeControl(FrameType.data, on, at, 'x'.repeat(length))
    return bytes
  }),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
)

describe('a hostile endpoint', () => {
  it('gets its own link closed at most, whatever it sends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 30 }), fc.nat(), async (frames, seed) => {
        const world = new World({ seed })
        const alice = world.endpoint({ address: '127.64.0.1', limits })
        const bob = world.endpoint({ address: '127.64.0.2', limits })
        await world.pass(20)
        const talk = world.talk(alice, bob.address, chatty, chatty)
        world.ports.set(`${bob.address}:${SERVED}`, (host, stream) => {
          const talker = new Talker('bob', host.party, chatty, 1, 0, 0)
          talker.begin(stream.accept(talker))
        })
        const mallory = new RawLink(world, world.relay, 'mallory')
        mallory.hello('127.64.0.66')
        for (const bytes of frames) {
          mallory.send(bytes)
          await world.pass(1)
        }
        await world.pass(2_000)
        expect(world.faults).toEqual([])
        expectComplete(talk)
        expect([alice.endpoint.state, bob.endpoint.state]).toEqual(['attached', 'attached'])
        expect(world.log.filter((line) => line.includes('detached'))).toEqual([])
        mallory.near.cut()
        await world.pass(30_000)
        expect(world.relay.node.tableSizes).toEqual({ links: 2, labels: 0, residences: 2, parked: 0 })
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['an ACK of bytes that were never sent', (m: RawLink) => m.signal(FrameType.ack, 2, 1_000_000)],
    ['a FIN in the middle', (m: RawLink) => m.signal(FrameType.fin, 2, 77)],
    ['a FIN_ACK of no FIN', (m: RawLink) => m.signal(FrameType.finAck, 2, 3)],
    ['DATA with a gap', (m: RawLink) => m.data(2, 50, Buffer.alloc(9))],
    ['DONE', (m: RawLink) => m.signal(FrameType.done, 2, 0)],
    ['a frame that is no answer', (m: RawLink) => m.signal(FrameType.reclaimed, 2, 0)],
  ])('that answers a stream and sends %s harms that stream and no other', async (what, misbehave) => {
    const { world, mallory, good, bad } = await startTalks()
    expect(mallory.of(FrameType.open)).toMatchObject([{ label: 2 }])
    mallory.send(encodeControl(FrameType.opened, 2, 100, { incarnation: 'feedfeedfeedfeed' }))
    await world.pass(10)
    misbehave(mallory)
    await world.pass(2_000)
    expectComplete(good)
    expect(world.log.filter((line) => line.includes('detached'))).toEqual([])
    // Either alice found it wrong, and reset the stream; or it means nothing to her and the stream stands.
    const reset = mallory.of(FrameType.reset)
    if (bad.opener.ending !== undefined) {
      expect(bad.opener.ending).toEqual({ is: 'reset', reason: 'violation' })
      // After DONE the relay has no route any more over which she could say so.
      if (what !== 'DONE') expect(reset).toMatchObject([{ label: 2, offset: resetReasons.violation }])
    } else expect(reset).toEqual([])
  })

  it('that resumes a stream from bytes that were never sent harms that stream and no other', async () => {
    const { world, alice, mallory, good, bad } = await startTalks()
    const incarnation = 'bad0bad0bad0bad0'
    mallory.send(encodeControl(FrameType.opened, 2, 100, { incarnation }))
    await world.pass(10)
    for (const { near } of alice.connections) near.cut()
    await world.pass(100)
    const [asked] = decodeResume(mallory.of(FrameType.resume)[0]?.payload as Buffer).entries
    const { label: on, generation } = asked as ResumeEntry
    const lie = { label: on, generation, status: 'live', received: 1_000_000, limit: 2_000_000 } as const
    mallory.send(encodeResumed({ incarnation, entries: [lie] }))
    await world.pass(2_000)
    expectComplete(good)
    expect(bad.opener.ending).toEqual({ is: 'reset', reason: 'violation' })
    expect(world.log.filter((line) => line.includes('detached'))).toHaveLength(1)
  })

  it.each([
    ['DATA beyond its credit', (m: RawLink) => m.data(2, 0, Buffer.alloc(20_000))],
    ['DATA before it has answered', (m: RawLink) => m.data(2, 0, Buffer.alloc(1))],
    ['an ACK before it has answered', (m: RawLink) => m.signal(FrameType.ack, 2, 0)],
    ['a frame for a label that was never opened', (m: RawLink) => m.signal(FrameType.credit, 8, 0)],
    [
      'a label of the relay’s own',
      (m: RawLink) => m.send(encodeControl(FrameType.open, 4, 0, { to: 'x', port: 1, id: 1 })),
    ],
    ['DONE for a stream that it opened', (m: RawLink) => openAnd(m, FrameType.done)],
    [
      'an answer that nobody waits for',
      (m: RawLink) =>
        m.send(
          encodeResumed({
            incarnation: 'feedfeedfeedfeed',
            entries: [{ label: 2, generation: 1, status: 'live', received: 0, limit: 0 }],
          }),
        ),
    ],
    ['a second HELLO', (m: RawLink) => m.hello('127.64.0.66')],
    ['WELCOME', (m: RawLink) => m.send(encodeControl(FrameType.welcome, 0, 0, {}))],
  ])('that sends %s loses its link with a violation', async (_what, misbehave) => {
    const world = new World()
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const mallory = new RawLink(world, world.relay, 'mallory')
    mallory.hello('127.64.0.66')
    await world.pass(20)
    world.talk(alice, '127.64.0.66', chatty, 'refuses')
    await world.pass(10)
    misbehave(mallory)
    await world.pass(100)
    expect(mallory.closeReason).toBe(closeReasons.violation.wire)
    expect(alice.endpoint.state).toBe('attached')
    expect(world.relay.metrics.closes.violation).toBe(1)
  })

  it('that is no driver retires nobody', async () => {
    const world = new World()
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const mallory = new RawLink(world, world.relay, 'mallory')
    mallory.hello('127.64.0.66')
    await world.pass(20)
    mallory.send(encodeRetire({ address: alice.address, generation: 1 }))
    await world.pass(100)
    expect(mallory.closeReason).toBe(closeReasons.forbidden.wire)
    expect(alice.endpoint.state).toBe('attached')
  })

  it('that grants endless credit and reads nothing is closed when its queue is over the limit', async () => {
    const world = new World({ relayLimits: { linkQueueBytes: 100_000 } })
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const mallory = new RawLink(world, world.relay, 'mallory')
    mallory.hello('127.64.0.66')
    await world.pass(20)
    world.talk(
      alice,
      '127.64.0.66',
      { ...chatty, writes: 8_000_000, pieceBytes: 20_000, pauseMs: 0 },
      'refuses',
    )
    await world.pass(10)
    mallory.send(
      encodeControl(FrameType.opened, 2, Number.MAX_SAFE_INTEGER, { incarnation: 'feedfeedfeedfeed' }),
    )
    await world.pass(5)
    mallory.party.stopFor(5_000)
    await world.pass(5_000)
    expect(world.relay.metrics.closes.overloaded).toBe(1)
    expect(alice.endpoint.state).toBe('attached')
  })

  it('whose queue is over the limit takes its routes with it, once each, though the frame that was too much ends one', async () => {
    const world = new World({ relayLimits: { linkQueueBytes: 0 }, wire: { readBytes: 65_536 } })
    const mallory = new RawLink(world, world.relay, 'mallory')
    const reader = new RawLink(world, world.relay, 'reader')
    mallory.hello('127.64.0.66')
    reader.hello('127.64.0.67')
    await world.pass(20)
    for (const [at, label] of [1, 3].entries()) {
      mallory.send(encodeControl(FrameType.open, label, 0, { to: '127.64.0.67', port: 9, id: label }))
      await world.pass(20)
      reader.send(encodeControl(FrameType.opened, 2 * at + 2, 8_000_000, { incarnation: 'feedfeedfeedfeed' }))
      await world.pass(20)
    }
    mallory.signal(FrameType.resetAck, 3, 0)
    await world.pass(20)
    expect(world.relay.metrics.routes.bulk).toBe(1)
    reader.party.stopFor(5_000)
    let sent = 0
    while (reader.near.peer.queuedBytes < 1_048_576 - 10_000) {
      mallory.data(1, sent, Buffer.alloc(8_000))
      sent += 8_000
      await world.pass(10)
    }
    mallory.near.cork()
    mallory.data(1, sent, Buffer.alloc(12_000))
    mallory.data(3, 0, Buffer.alloc(1)) // of a stream that is over: cuts what goes to the reader in two
    mallory.signal(FrameType.resetAck, 1, 0)
    mallory.near.uncork()
    await world.pass(10)
    expect(world.relay.metrics.closes.overloaded).toBe(1)
    expect(world.relay.metrics.routes.bulk).toBe(0)
  })

  it.each([
    [1, 1, 'is told'],
    [20, 0, 'hears nothing any more'],
  ])('that watches one that is attached and lost %i s later %s', async (seconds, times) => {
    const world = new World()
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const watcher = new RawLink(world, world.relay, 'watcher')
    watcher.hello('127.64.0.66')
    await world.pass(100)
    watcher.send(encodeWatch({ peers: [{ address: alice.address, incarnation: alice.incarnation }] }))
    for (let second = 0; second < seconds + 20; second++) {
      if (second === seconds) alice.crash()
      watcher.signal(FrameType.ping, 0, 0)
      await world.pass(1_000)
    }
    expect(watcher.of(FrameType.gone)).toHaveLength(times)
  })

  it('that watches a million processes of one address is told of a bounded number of them', async () => {
    const world = new World({ relayLimits: { controlFramesPerSecond: 1_000_000 } })
    const mallory = new RawLink(world, world.relay, 'mallory')
    mallory.hello('127.64.0.66')
    const live = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        mallory.signal(FrameType.ping, 0, 0)
        await world.pass(1_000)
      }
    }
    await live(20)
    for (let batch = 0; batch < 200; batch++) {
      const peers = Array.from({ length: 500 }, (_none, i) => ({
        address: '127.64.0.67',
        incarnation: (batch * 500 + i).toString(16).padStart(16, '0'),
      }))
      mallory.send(encodeWatch({ peers }))
    }
    await live(20)
    const told = mallory.of(FrameType.gone).length
    expect(told).toBeGreaterThan(0)
    expect(told).toBeLessThanOrEqual(16)
  })

  it('that watches a million addresses costs a bounded number of places, for the time of grace, and others nothing', async () => {
    const world = new World({
      relayLimits: { maxLinks: 10, controlFramesPerSecond: 1_000_000, handshakeMs: 500 },
    })
    const mallory = new RawLink(world, world.relay, 'mallory')
    mallory.hello('127.64.0.66')
    await world.pass(10)
    for (let batch = 0; batch < 200; batch++) {
      const peers = Array.from({ length: 500 }, (_none, i) => ({
        address: `127.${64 + Math.floor(i / 250)}.${batch}.${i % 250}`,
        incarnation: 'feedfeedfeedfeed',
      }))
      mallory.send(encodeWatch({ peers }))
    }
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const bob = world.endpoint({ address: '127.64.0.2', limits })
    await world.pass(2_000)
    expect(world.relay.node.tableSizes.residences).toBeLessThanOrEqual(4_096 + 20)
    const good = world.talk(alice, bob.address, { ...chatty, writes: 50 }, { ...chatty, writes: 50 })
    await world.pass(2_000)
    expectComplete(good)
    mallory.near.cut()
    for (const { endpoint } of [alice, bob]) void endpoint.close()
    await world.pass(30_000)
    expect(world.relay.node.tableSizes).toEqual({ links: 0, labels: 0, residences: 0, parked: 0 })
  })
})
