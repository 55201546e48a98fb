/** Single faults, each with a name; the random schedules next door mix them. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { EndpointLimits } from '../../relay/endpoint/index.ts'
import { Stream } from '../../relay/endpoint/stream.ts'
import {
  encodeControl,
  FrameDecoder,
  type FrameHandler,
  FrameType,
  type FrameTypeName,
} from '../../relay/wire/index.ts'
import { RawLink } from './raw-link.ts'
import { regressions } from './regressions.ts'
import { runPlan } from './run-plan.ts'
import type { Script } from './talker.ts'
import { type Conversation, type SimEndpoint, World, type WorldOptions } from './world.ts'

const chatty: Script = { writes: 40_000, pieceBytes: 5_000, pauseMs: 3, readDelayMs: 0 }
const patient: Script = { writes: 100, pieceBytes: 100, pauseMs: 0, readDelayMs: 0, keepsOpen: true }
const small: Partial<EndpointLimits> = { initialWindowBytes: 16_384, ackDelayMs: 5 }

interface Cast {
  readonly world: World
  /** Opens. */
  readonly alice: SimEndpoint
  /** Accepts. */
  readonly bob: SimEndpoint
}

async function start(options: WorldOptions = {}, limits = small): Promise<Cast> {
  const world = new World(options)
  const alice = world.endpoint({ address: '127.64.0.1', role: 'driver', limits })
  const bob = world.endpoint({ address: '127.64.0.2', limits })
  await world.pass(200)
  return { world, alice, bob }
}

/** Every byte both ways, once and in order, and nothing left of it. */
function expectComplete(world: World, { opener, acceptors }: Conversation): void {
  const acceptor = acceptors.at(-1)?.talker
  expect(world.faults).toEqual([])
  expect([opener.fault, acceptor?.fault]).toEqual([undefined, undefined])
  expect([opener.ending, acceptor?.ending]).toEqual([{ is: 'closed' }, { is: 'closed' }])
  expect([opener.read, acceptor?.read]).toEqual([acceptor?.written, opener.written])
}

function expectReset(world: World, { opener, acceptors }: Conversation, reasons: [string, string]): void {
  expect(world.faults).toEqual([])
  expect([opener.ending, acceptors.at(-1)?.talker.ending]).toEqual(
    reasons.map((reason) => ({ is: 'reset', reason })),
  )
}

function expectEmpty({ world, alice, bob }: Cast): void {
  for (const { endpoint } of [alice, bob]) {
    expect(endpoint.figures()).toMatchObject({ openStreams: 0, creditOutBytes: 0, unackedBytes: 0 })
    expect(endpoint.keepingStreams).toBe(0)
  }
  for (const { node } of world.relays.values())
    expect(node.tableSizes).toMatchObject({ labels: 0, parked: 0 })
}

/** The next such frame of `who` is lost with its link, which both ends notice a little later. */
function loseNext(who: SimEndpoint, type: FrameTypeName): { wasLost: boolean } {
  const seen = { wasLost: false }
  for (const { near } of who.connections) {
    near.lose(FrameType[type], () => {
      seen.wasLost = true
      who.party.clock.after(5, () => near.cut())
    })
  }
  return seen
}

interface SeenFrame {
  readonly by: 'bob' | 'relay'
  readonly type: number
  readonly label: number
  readonly bytes: number
}

/** The frames that bob and his relay send each other from now on, in the order in which they are sent. */
function watchFrames(bob: SimEndpoint): readonly SeenFrame[] {
  const seen: SeenFrame[] = []
  for (const { near, far } of bob.connections) {
    for (const [by, pipe] of [
      ['bob', near],
      ['relay', far],
    ] as const) {
      const decoder = new FrameDecoder<undefined>()
      decoder.allowAll()
      const note = (type: number, label: number, bytes: number) => void seen.push({ by, type, label, bytes })
      const handler: FrameHandler<undefined> = {
        handleData: (label, _offset, _bytes, start, end) => note(FrameType.data, label, end - start),
        handleSignal: (type, label) => note(type, label, 0),
        handleControl: (type, label, _offset, { length }) => note(type, label, length),
      }
      const write = pipe.write.bind(pipe)
      vi.spyOn(pipe, 'write').mockImplementation((bytes, slab) => {
        decoder.push(Buffer.from(bytes), 0, bytes.length, undefined, handler)
        write(bytes, slab)
      })
    }
  }
  return seen
}

function dataBytes(frames: readonly SeenFrame[]): number {
  return frames.filter(({ type }) => type === FrameType.data).reduce((sum, { bytes }) => sum + bytes, 0)
}

describe('a frame that is lost with its link', () => {
  it.each<[FrameTypeName, 'alice' | 'bob']>([
    ['open', 'alice'],
    ['opened', 'bob'],
    ['data', 'alice'],
    ['data', 'bob'],
    ['ack', 'alice'],
    ['ack', 'bob'],
    ['credit', 'alice'],
    ['credit', 'bob'],
    ['fin', 'alice'],
    ['fin', 'bob'],
    ['finAck', 'alice'],
    ['finAck', 'bob'],
    ['done', 'bob'],
  ])('costs nothing when it is %s of %s', async (type, from) => {
    const cast = await start()
    const { world } = cast
    const lost = loseNext(cast[from], type)
    const talk = world.talk(cast.alice, cast.bob.address, chatty, chatty)
    await world.pass(20_000)
    expect(lost.wasLost).toBe(true)
    expectComplete(world, talk)
    expectEmpty(cast)
  })

  it.each<[FrameTypeName, 'alice' | 'bob']>([
    ['resume', 'alice'],
    ['resumed', 'bob'],
  ])('costs nothing when it is %s of %s', async (type, from) => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, chatty, chatty)
    await world.pass(15)
    for (const { near } of alice.connections) near.cut()
    const lost = { wasLost: false }
    await world.until(() => alice.endpoint.state === 'detached', 100)
    await world.until(() => alice.connections.length > 0, 1_000)
    Object.assign(lost, { watch: loseNext(cast[from], type) })
    await world.pass(20_000)
    expect(lost).toMatchObject({ watch: { wasLost: true } })
    expectComplete(world, talk)
    expectEmpty(cast)
  })

  it.each<[FrameTypeName, 'alice' | 'bob', 'alice' | 'bob']>([
    ['reset', 'alice', 'alice'],
    ['reset', 'bob', 'bob'],
    ['resetAck', 'bob', 'alice'],
    ['resetAck', 'alice', 'bob'],
  ])('is said again when it is %s of %s, after a reset of %s', async (type, from, resets) => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    const lost = loseNext(cast[from], type)
    const ends = { alice: talk.opener, bob: talk.acceptors[0]?.talker }
    ends[resets]?.reset_('aborted')
    // Nobody says again that it has heard: whoever resets as the acceptor waits for as long as it could matter.
    await world.pass(70_000)
    expect(lost.wasLost).toBe(true)
    expectReset(world, talk, ['aborted', 'aborted'])
    expectEmpty(cast)
  })
})

describe('a stream', () => {
  it('is reset once at both ends when both reset it at the same time', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    talk.opener.reset_('aborted')
    talk.acceptors[0]?.talker.reset_('overloaded')
    await world.pass(1_000)
    expectReset(world, talk, ['aborted', 'overloaded'])
    expectEmpty(cast)
  })

  it('goes on when both its links are lost at once, again and again, and resumes cross', async () => {
    const cast = await start({ wire: { latencyMs: 20 } })
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, { ...chatty, pieceBytes: 500, pauseMs: 20 }, chatty)
    for (let i = 0; i < 12; i++) {
      await world.pass(70 * (1 + (i % 4)))
      for (const { near } of [...alice.connections, ...bob.connections]) near.cut()
    }
    await world.pass(20_000)
    expectComplete(world, talk)
    expect(alice.endpoint.figures().resumes).toBeGreaterThan(3)
    expectEmpty(cast)
  })

  it('drops late frames of a route that was retired', async () => {
    const world = new World({ relays: ['relay-a', 'relay-b'], directoryLatencyMs: 0 })
    const alice = world.endpoint({ address: '127.64.0.1', relays: ['relay-a'], limits: small })
    const bob = world.endpoint({ address: '127.64.0.2', relays: ['relay-b'], limits: small })
    await world.pass(200)
    const seen = watchFrames(bob)
    const handed = vi.spyOn(Stream.prototype, 'handleData')
    onTestFinished(() => handed.mockRestore())
    const talk = world.talk(alice, bob.address, { ...chatty, writes: 300_000, pauseMs: 10 }, chatty)
    await world.pass(60)
    const visit = alice.connections.find(({ relay }) => relay.url === 'relay-b')
    // What alice sends takes its time; she loses the link and resumes, and then it arrives.
    visit?.near.lag(400)
    await world.pass(30)
    visit?.near.vanish()
    await world.pass(20_000)
    expect(visit).toBeDefined()
    expect(alice.endpoint.figures().resumes).toBeGreaterThan(1) // by MOVED, and after the loss
    // The first RESUMED is the answer to the OPEN that was MOVED.
    const resumedAt = seen.findLastIndex(({ by, type }) => by === 'bob' && type === FrameType.resumed)
    const retired = seen.find(({ type }) => type === FrameType.data)?.label
    const late = seen.slice(resumedAt).filter(({ label }) => label === retired)
    expect(resumedAt).toBeGreaterThan(0)
    expect(dataBytes(late)).toBeGreaterThan(1_000)
    // Bob's stream was handed what came on its routes of the time, and answers nothing that came too late.
    const atBob = handed.mock.calls.filter((_, index) => !(handed.mock.contexts[index] as Stream).isOpener)
    const handedBytes = atBob.reduce((sum, [, , start, end]) => sum + end - start, 0)
    expect(handedBytes).toBe(dataBytes(seen.filter(({ by }) => by === 'relay')) - dataBytes(late))
    expect(late.filter(({ by }) => by === 'bob')).toEqual([])
    // The stream lived on while they came.
    const lastLate = seen.findLastIndex(({ label }) => label === retired)
    expect(dataBytes(seen.slice(lastLate))).toBeGreaterThan(100_000)
    expectComplete(world, talk)
    expectEmpty({ world, alice, bob })
  })

  it('survives a relay that is away for 20 s, and its program notices nothing but the wait', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const before = world.talk(alice, bob.address, { ...chatty, pauseMs: 30 }, chatty)
    await world.pass(100)
    world.relay.kill()
    await world.pass(10_000)
    const during = world.talk(alice, bob.address, chatty, chatty) // opened while there is no relay
    await world.pass(10_000)
    world.relay.start()
    await world.pass(20_000)
    expectComplete(world, before)
    expectComplete(world, during)
    expectEmpty(cast)
  })

  it('to an address that nobody has is reset with unknown, to one that said goodbye with gone', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    await world.pass(10_000) // the relay has been there for longer than its grace
    const nobody = world.talk(alice, '127.64.9.9', patient, patient)
    const open = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    expect(nobody.opener.ending).toEqual({ is: 'reset', reason: 'unknown' })
    bob.endpoint.close()
    await world.pass(10_100)
    expectReset(world, open, ['gone', 'shutdown'])
  })

  it('with one that says goodbye ends by GONE before its route goes down: by that alone it would be resumed', async () => {
    const world = new World()
    const [opener, acceptor] = ['127.64.0.1', '127.64.0.2'].map((address) => {
      const link = new RawLink(world, world.relay, address)
      link.hello(address, { incarnation: address === '127.64.0.1' ? 'aaaaaaaaaaaaaaaa' : 'bbbbbbbbbbbbbbbb' })
      return link
    }) as [RawLink, RawLink]
    await world.pass(20)
    opener.send(encodeControl(FrameType.open, 1, 1_000, { to: '127.64.0.2', port: 9, id: 1 }))
    await world.pass(20)
    const [open] = acceptor.of(FrameType.open)
    const answer = { incarnation: 'bbbbbbbbbbbbbbbb' }
    acceptor.send(encodeControl(FrameType.opened, open?.label ?? 0, 1_000, answer))
    await world.pass(20)
    acceptor.signal(FrameType.goodbye, 0, 0)
    await world.pass(20)
    const told: number[] = [FrameType.gone, FrameType.routeDown]
    expect(opener.frames.map(({ type }) => type).filter((type) => told.includes(type))).toEqual(told)
  })

  it('that is reset and never confirmed, because the peer is gone, counts once', async () => {
    const { world, alice, bob } = await start()
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    bob.crash()
    await world.pass(100)
    talk.opener.reset_('aborted')
    await world.pass(20_000)
    expect(alice.endpoint.figures()).toMatchObject({ openStreams: 0, resets: { aborted: 1 } })
    expect(Object.keys(alice.endpoint.figures().resets)).toEqual(['aborted'])
  })

  it('to a port that nobody serves is reset with refused', async () => {
    const cast = await start()
    const talk = cast.world.talk(cast.alice, cast.bob.address, patient, 'refuses')
    await cast.world.pass(50)
    expect(talk.opener.ending).toEqual({ is: 'reset', reason: 'refused' })
    expectEmpty(cast)
  })

  it('to its own address works like any other', async () => {
    const cast = await start()
    const talk = cast.world.talk(cast.alice, cast.alice.address, chatty, chatty)
    await cast.world.pass(5_000)
    expectComplete(cast.world, talk)
    expectEmpty(cast)
  })

  it('that is never answered is reset with timeout, and its program hears it', async () => {
    const cast = await start({}, { ...small, openTimeoutMs: 3_000 })
    const { world, alice, bob } = cast
    world.ports.set(`${bob.address}:9`, () => {}) // neither accepts nor rejects
    const heard: string[] = []
    const local = {
      opened: () => heard.push('opened'),
      deliver: () => {},
      ended: () => {},
      writable: () => {},
      closed: () => heard.push('closed'),
      reset: (reason: string) => heard.push(reason),
    }
    alice.endpoint.open(bob.address, 9, local)
    await world.pass(5_000)
    expect(heard).toEqual(['timeout'])
  })
})

describe('a reader that is frozen', () => {
  it('holds up no other stream, and gives back the credit that it does not use', async () => {
    const limits = { ...small, receiveBudgetBytes: 65_536, floorBytes: 1_000, initialWindowBytes: 65_536 }
    const cast = await start({}, limits)
    const { world, alice, bob } = cast
    const big: Script = { writes: 400_000, pieceBytes: 20_000, pauseMs: 0, readDelayMs: 0 }
    const frozen = world.talk(
      alice,
      bob.address,
      { ...big, pauseMs: 20, pieceBytes: 100 },
      { ...big, freezeAt: 1, freezeMs: 60_000 },
    )
    await world.pass(50)
    const others = [0, 1, 2].map(() => world.talk(alice, bob.address, big, big))
    await world.pass(10_000)
    for (const talk of others) expectComplete(world, talk)
    expect(frozen.opener.ending).toBeUndefined()
    expect(bob.endpoint.figures().creditOutBytes).toBeLessThanOrEqual(65_536)
    await world.pass(200_000)
    expectComplete(world, frozen)
    expectEmpty(cast)
  })
})

describe('streams that share next to nothing', () => {
  it('all come to their end on their floors alone', async () => {
    const cast = await start({}, { ...small, receiveBudgetBytes: 4_000, sendBudgetBytes: 0, floorBytes: 500 })
    const { world, alice, bob } = cast
    const talks = Array.from({ length: 40 }, () =>
      world.talk(alice, bob.address, { ...chatty, pauseMs: 0 }, { ...chatty, pauseMs: 0 }),
    )
    await world.pass(60_000)
    for (const talk of talks) expectComplete(world, talk)
    expectEmpty(cast)
  })
})

describe('an address that is over', () => {
  it('is told to its peers at once when it is retired, and again to a relay that started anew', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    alice.endpoint.retire(bob.address, 1)
    await world.pass(20)
    expect(talk.opener.ending).toEqual({ is: 'reset', reason: 'gone' })
    expect(bob.failure?.code).toBe('retired')
    world.relay.kill()
    world.relay.start()
    await world.pass(500)
    const again = world.endpoint({ address: bob.address, limits: small })
    await world.pass(500)
    expect(again.failure?.code).toBe('retired')
  })

  it('is given up after grace when its process died, and not before', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    bob.crash()
    await world.pass(7_900)
    expect(talk.opener.ending).toBeUndefined()
    await world.pass(200)
    expect(talk.opener.ending).toEqual({ is: 'reset', reason: 'gone' })
  })

  it('is told to those that it visited, too, when its process died: within silence, grace and a second', async () => {
    const world = new World({ relays: ['relay-a', 'relay-b'], directoryLatencyMs: 5 })
    const alice = world.endpoint({ address: '127.64.0.1', relays: ['relay-a'], limits: small })
    const bob = world.endpoint({ address: '127.64.0.2', relays: ['relay-b'], limits: small })
    await world.pass(20_000) // the directory is older than its grace
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(100)
    alice.crash('machine')
    await world.pass(6_000 + 8_000 + 1_000)
    expect(talk.acceptors[0]?.talker.ending).toEqual({ is: 'reset', reason: 'gone' })
  })

  it('is told to an acceptor that lost its own link before the loss of its opener was noticed', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    alice.crash('machine')
    await world.pass(1_000)
    for (const { near } of bob.connections) near.cut()
    await world.pass(4_000)
    expect(bob.endpoint.state).toBe('attached')
    await world.pass(2_000 + 8_000)
    expect(talk.acceptors[0]?.talker.ending).toEqual({ is: 'reset', reason: 'gone' })
  })

  it('is told to an acceptor whose opener came back and went again before it resumed', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    for (const { near } of alice.connections) near.cut()
    await world.until(() => alice.endpoint.state === 'detached', 1_000)
    await world.until(() => world.relay.metrics.links.bulk.attached === 2, 1_000)
    alice.crash('machine') // its WELCOME is on its way
    await world.pass(6_000 + 8_000 + 1_000)
    expect(talk.acceptors[0]?.talker.ending).toEqual({ is: 'reset', reason: 'gone' })
  })

  it('is taken over by a higher token generation at once', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, patient, patient)
    await world.pass(50)
    const heir = world.endpoint({ address: bob.address, generation: 2, limits: small })
    await world.pass(50)
    expect(heir.endpoint.state).toBe('attached')
    expect(talk.opener.ending).toEqual({ is: 'reset', reason: 'gone' })
    await world.pass(2_000)
    expect(bob.failure?.code).toBe('retired')
    const next = world.talk(alice, bob.address, chatty, chatty)
    await world.pass(5_000)
    expectComplete(world, next)
  })
})

describe('an endpoint', () => {
  it('lets its streams finish before it says goodbye', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, chatty, chatty)
    await world.pass(5)
    alice.close()
    bob.close()
    await world.pass(9_000)
    expectComplete(world, talk)
    expect([alice.isClosed, bob.isClosed]).toEqual([true, true])
    expect(world.relay.node.tableSizes).toEqual({ links: 0, labels: 0, residences: 0, parked: 0 })
  })

  it('that is stopped for longer than silence lasts starts its clocks anew and goes on', async () => {
    const cast = await start()
    const { world, alice, bob } = cast
    const talk = world.talk(alice, bob.address, { ...chatty, pauseMs: 50 }, chatty)
    await world.pass(100)
    bob.party.stopFor(9_000) // silence is 6 s, grace 8 s after it
    await world.pass(40_000)
    expectComplete(world, talk)
    expectEmpty(cast)
  })
})

describe('what once went wrong', () => {
  it.each(regressions)('%s', async (_story, plan) => {
    await runPlan(plan)
  })
})

describe('what a relay queues for one link', () => {
  it('is never more than it has announced, though the endpoint has a larger budget', async () => {
    const world = new World({ relayLimits: { linkQueueBytes: 512 * 1024 } })
    const limits = { initialWindowBytes: 1024 * 1024, receiveBudgetBytes: 32 * 1024 * 1024, ackDelayMs: 5 }
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const bob = world.endpoint({ address: '127.64.0.2', limits })
    await world.pass(200)
    const talks = Array.from({ length: 6 }, () =>
      world.talk(
        alice,
        bob.address,
        { ...chatty, writes: 400, pieceBytes: 10_000, pauseMs: 0 },
        { ...patient, readDelayMs: 50 },
      ),
    )
    let most = 0
    for (let step = 0; step < 200; step += 1) {
      await world.pass(10)
      most = Math.max(most, bob.endpoint.credit.usedBytes)
    }
    expect(most).toBeLessThanOrEqual(512 * 1024)
    expect(most).toBeGreaterThan(0)
    expect(talks.every(({ opener }) => opener.fault === undefined)).toBe(true)
  })
})
