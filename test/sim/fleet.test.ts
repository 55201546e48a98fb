/** Three relays and one directory: what they do together when it, or one of them, is away. */
import { describe, expect, it } from 'vitest'
import type { Script } from './talker.ts'
import { type Conversation, type SimEndpoint, World } from './world.ts'

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
