import { describe, expect, it } from 'vitest'
import type { Script } from './talker.ts'
import { World } from './world.ts'

const quick: Script = { writes: 300_000, pieceBytes: 20_000, pauseMs: 0, readDelayMs: 0 }

describe('two endpoints on one relay', () => {
  it('exchange bytes both ways, half-close and end', async () => {
    const world = new World({ isVerbose: true })
    const alice = world.endpoint({ address: '127.64.0.1' })
    const bob = world.endpoint({ address: '127.64.0.2' })
    await world.pass(100)
    expect(alice.endpoint.state).toBe('attached')
    expect(bob.endpoint.state).toBe('attached')
    const talk = world.talk(alice, bob.address, quick, { ...quick, endsLast: true })
    await world.pass(5_000)
    expect(world.faults).toEqual([])
    expect(talk.opener.fault).toBe(undefined)
    expect(talk.acceptors[0]?.talker.fault).toBe(undefined)
    expect(talk.opener.read).toBe(300_000)
    expect(talk.acceptors[0]?.talker.read).toBe(300_000)
    expect(talk.opener.ending).toEqual({ is: 'closed' })
    expect(talk.acceptors[0]?.talker.ending).toEqual({ is: 'closed' })
    expect(world.relay.node.tableSizes).toEqual({ links: 2, labels: 0, residences: 2, parked: 0 })
    alice.close()
    bob.close()
    await world.pass(100)
    expect(world.relay.node.tableSizes).toEqual({ links: 0, labels: 0, residences: 0, parked: 0 })
    await world.pass(70_000)
    for (const who of [alice, bob]) {
      expect(who.endpoint.figures()).toMatchObject({ openStreams: 0, creditOutBytes: 0, unackedBytes: 0 })
      expect(who.party.slabsOut).toBe(0)
    }
    expect(world.relay.party.slabsOut).toBe(0)
  })
})
