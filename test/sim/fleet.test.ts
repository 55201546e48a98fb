/** Three relays and one directory: what they do together when it, or one of them, is away. */
import { describe, expect, it } from 'vitest'
import { closeReasons, FrameType } from '../../relay/wire/index.ts'
import { RawLink } from './raw-link.ts'
import type { Script } from './talker.ts'
import { type Conversation, type SimEndpoint, type SimRelay, World } from './world.ts'

const relays = ['relay-a', 'relay-b', 'relay-c']
/** Goes on for half a minute. */
const long: Script = { writes: 300_000, pieceBytes: 1_000, pauseMs: 100, readDelayMs: 0 }

async function startFleet(
  seed: number,
  endpoints = 6,
  known: readonly string[] = relays,
): Promise<{ world: World; endpoints: SimEndpoint[]; talks: Conversation[] }> {
  const world = new World({ seed, relays, directoryLatencyMs: 2, isVerbose: true })
  await world.pass(1_500) // relays have heard of each other
  const made = Array.from({ length: endpoints }, (_, i) =>
    world.endpoint({ address: `127.64.0.${i + 2}`, relays: known }),
  )
  await world.pass(500)
  const talks = made.map((from, i) => {
    const to = made[(i + 1) % made.length] as SimEndpoint
    return world.talk(from, to.address, long, long)
  })
  await world.pass(500)
  return { world, endpoints: made, talks }
}

const attachments = (world: World): number =>
  world.log.filter((line) => line.includes(' attached at ')).length
const asked = (world: World, why: 'cut-off' | 'draining'): number =>
  [...world.relays.values()].reduce((sum, { metrics }) => sum + metrics.goAways[why], 0)

async function expectAllComplete(world: World, talks: readonly Conversation[]): Promise<void> {
  await world.until(() => talks.every(({ opener }) => opener.ending !== undefined), 120_000)
  await world.pass(2_000)
  expect(world.faults).toEqual([])
  for (const { opener, acceptors } of talks) {
    const acceptor = acceptors.at(-1)?.talker
    expect([opener.fault, acceptor?.fault]).toEqual([undefined, undefined])
    expect([opener.ending, acceptor?.ending]).toEqual([{ is: 'closed' }, { is: 'closed' }])
    expect([opener.read, acceptor?.read]).toEqual([long.writes, long.writes])
  }
}

describe.each([1, 2, 3])('three relays with one directory, seed %i', (seed) => {
  it('ask their endpoints to move when it is away for half a lease; nobody can, and all stay', async () => {
    const { world, endpoints, talks } = await startFleet(seed)
    const before = attachments(world)
    world.directoryOutage.untilMs = world.clock.now() + 12_000
    await world.pass(11_000)
    expect(asked(world, 'cut-off')).toBe(endpoints.length)
    expect(attachments(world)).toBe(before)
    expect(endpoints.map((one) => one.endpoint.state)).toEqual(endpoints.map(() => 'attached'))
    await expectAllComplete(world, talks)
  })

  it('leave one after the other, and no stream is harmed', async () => {
    const { world, talks } = await startFleet(seed)
    for (const relay of world.relays.values()) {
      const { lives } = relay
      relay.drain(100)
      expect(await world.until(() => relay.lives > lives, 10_000)).toBe(true)
      await world.pass(1_500)
    }
    await expectAllComplete(world, talks)
  })

  it('send endpoints that know only one of them to each other, and still meet', async () => {
    const { world, talks } = await startFleet(seed, 24, ['relay-a'])
    const links = [...world.relays.values()].map(({ metrics }) => metrics.links.bulk.attached)
    expect(links.reduce((sum, one) => sum + one, 0)).toBe(24)
    expect(Math.max(...links)).toBeLessThanOrEqual(1.3 * 8)
    await expectAllComplete(world, talks)
  })
})

/** What one relay knows may be old, and what it was about to know may come too late. */
const chatty: Script = { writes: 40_000, pieceBytes: 500, pauseMs: 20, readDelayMs: 0 }
const patient: Script = { writes: 100, pieceBytes: 100, pauseMs: 0, readDelayMs: 0, keepsOpen: true }

describe.each(Array.from({ length: 20 }, (_, i) => i + 1))(
  'two relays with a slow directory, seed %i',
  (seed) => {
    it('lose no stream when a link is lost again between its claim and its WELCOME', async () => {
      const world = new World({
        seed,
        relays: ['relay-a', 'relay-b'],
        directoryLatencyMs: 40,
        isVerbose: true,
      })
      const alice = world.endpoint({ address: '127.64.0.1' })
      const bob = world.endpoint({ address: '127.64.0.2' })
      await world.pass(20_000) // whoever has no lease now is unknown at once
      const talk = world.talk(alice, bob.address, chatty, chatty)
      await world.pass(200)
      const { length } = world.connections
      for (const { near } of bob.connections) near.cut()
      await world.until(() => world.connections.slice(length).some(({ endpoint }) => endpoint === bob), 5_000)
      await world.pass(6 + ((seed * 13) % 54))
      for (const { endpoint, near } of world.connections.slice(length)) if (endpoint === bob) near.cut()
      await world.until(() => talk.opener.ending !== undefined, 60_000)
      expect(world.faults).toEqual([])
      expect([talk.opener.ending, talk.acceptors[0]?.talker.ending]).toEqual([
        { is: 'closed' },
        { is: 'closed' },
      ])
    })

    it('never say that an heir is gone because the generation before it was retired', async () => {
      const world = new World({
        seed,
        relays: ['relay-a', 'relay-b'],
        directoryLatencyMs: 40,
        isVerbose: true,
      })
      const alice = world.endpoint({ address: '127.64.0.1', role: 'driver', relays: ['relay-a'] })
      const bob = world.endpoint({ address: '127.64.0.2', relays: ['relay-a'] })
      await world.pass(20_000)
      alice.endpoint.retire(bob.address, 1)
      await world.pass(1_000)
      expect(bob.failure?.code).toBe('retired')
      const heir = world.endpoint({ address: bob.address, generation: 2, relays: ['relay-b'] })
      await world.pass(1_000)
      const talk = world.talk(heir, alice.address, patient, patient)
      await world.pass(1_000)
      expect(talk.acceptors.length).toBe(1)
      // Alice is back before the heir is, and watches it at her home, which was told of the retirement.
      heir.party.stopFor(500)
      for (const { near } of [...alice.connections, ...heir.connections]) near.cut()
      await world.pass(6_000)
      expect([talk.opener.ending, talk.acceptors[0]?.talker.ending]).toEqual([undefined, undefined])
    })
  },
)

it('a retired generation may not even visit', async () => {
  const world = new World({ relays: ['relay-a', 'relay-b'], directoryLatencyMs: 1 })
  const alice = world.endpoint({ address: '127.64.0.1', role: 'driver', relays: ['relay-a'] })
  await world.pass(1_000)
  alice.endpoint.retire('127.64.0.2', 1)
  await world.pass(100)
  const visitor = new RawLink(world, world.relay, 'visitor')
  visitor.hello('127.64.0.2', { mode: 'visit', generation: 1 })
  const heir = new RawLink(world, world.relay, 'heir')
  heir.hello('127.64.0.2', { mode: 'visit', generation: 2 })
  await world.pass(100)
  expect(visitor.closeReason).toBe(closeReasons.retired.wire)
  expect(heir.of(FrameType.welcome)).toHaveLength(1)
})

it('a retired generation does not stay as a visitor where nobody has heard of its end', async () => {
  const world = new World({ relays: ['relay-a', 'relay-b'], directoryLatencyMs: 1 })
  const alice = world.endpoint({ address: '127.64.0.1', role: 'driver', relays: ['relay-a'] })
  await world.pass(1_000)
  alice.endpoint.retire('127.64.0.2', 1)
  await world.pass(100)
  const forgetful = world.relays.get('relay-b') as SimRelay
  forgetful.kill()
  forgetful.start()
  const visitor = new RawLink(world, forgetful, 'visitor')
  visitor.hello('127.64.0.2', { mode: 'visit', generation: 1 })
  const heir = new RawLink(world, forgetful, 'heir')
  heir.hello('127.64.0.2', { mode: 'visit', generation: 2 })
  await world.pass(100)
  expect(visitor.closeReason).toBe(closeReasons.retired.wire)
  expect([heir.closeReason, heir.of(FrameType.welcome).length]).toEqual([0, 1])
})

it('a retirement reaches a home that has asked to be left and works on, as no other is to be had', async () => {
  const world = new World({ relays: ['relay-a'], directoryLatencyMs: 2 })
  const alice = world.endpoint({ address: '127.64.0.1', role: 'driver' })
  const bob = world.endpoint({ address: '127.64.0.2' })
  await world.pass(2_000)
  world.directoryOutage.untilMs = world.clock.now() + 30_000
  await world.until(() => asked(world, 'cut-off') === 2, 20_000)
  alice.endpoint.retire(bob.address, 1)
  await world.pass(100)
  expect(bob.failure?.code).toBe('retired')
})

it.each([2, 3])(
  'an endpoint whose lease was asked for when its relay began to leave is told to go, seed %i',
  async (seed) => {
    const world = new World({ seed, relays: ['relay-a', 'relay-b'], directoryLatencyMs: 300 })
    await world.pass(3_000)
    const relay = world.relays.get('relay-a') as SimRelay
    world.endpoint({ address: '127.64.0.1', relays: [relay.url] })
    await world.pass(3_000)
    const late = world.endpoint({ address: '127.64.0.2', relays: [relay.url] })
    await world.pass(50)
    expect(relay.metrics.links.bulk.attached).toBe(1)
    relay.drain(100)
    await world.until(() => late.endpoint.state === 'attached', 1_000)
    expect(relay.metrics.links.bulk.attached).toBe(2)
    expect(await world.until(() => relay.lives > 1, 4_000)).toBe(true)
    expect(late.endpoint.state).toBe('attached')
  },
)

it('a stream that is resumed late to an address that others wait for has a time of grace of its own', async () => {
  const world = new World({ relays: ['relay-a', 'relay-b'], directoryLatencyMs: 2 })
  const [relayA, relayB] = [...world.relays.values()] as [SimRelay, SimRelay]
  await world.pass(1_500)
  const alice = world.endpoint({ address: '127.64.0.1', relays: ['relay-a'] })
  const [bob, carol] = ['127.64.0.2', '127.64.0.3'].map((address) =>
    world.endpoint({ address, relays: ['relay-b'] }),
  ) as [SimEndpoint, SimEndpoint]
  await world.pass(20_000)
  const talks = [bob, carol].map((who) => world.talk(who, alice.address, patient, patient))
  await world.pass(500)
  // Alice keeps her link to a relay that cannot renew her lease; who visits her there must not ask elsewhere.
  relayA.directoryOutage.untilMs = world.clock.now() + 60_000
  await world.pass(20_000)
  expect([alice.endpoint.state, relayB.node.tableSizes.parked]).toEqual(['attached', 0])
  for (const { near, far } of bob.connections) if (far.party === relayA.party) near.cut()
  await world.pass(7_500)
  for (const { near, far } of carol.connections) if (far.party === relayA.party) near.cut()
  await world.pass(5_000)
  expect(relayB.node.tableSizes.parked).toBe(2)
  relayA.directoryOutage.untilMs = 0
  await world.pass(5_000)
  expect(relayB.node.tableSizes.parked).toBe(0)
  expect(talks.flatMap(({ opener, acceptors }) => [opener.ending, acceptors[0]?.talker.ending])).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})

it('a relay that may have two links more takes two of ten that come at once, while it asks for their leases', async () => {
  const world = new World({ relays: ['relay-a'], directoryLatencyMs: 40, relayLimits: { maxLinks: 2 } })
  const links = Array.from({ length: 10 }, (_, i) => {
    const link = new RawLink(world, world.relay, `link ${i}`)
    link.hello(`127.64.0.${i + 2}`)
    return link
  })
  await world.pass(200)
  expect(links.filter((link) => link.of(FrameType.welcome).length === 1)).toHaveLength(2)
  expect(links.filter((link) => link.closeReason === closeReasons.overloaded.wire)).toHaveLength(8)
})
