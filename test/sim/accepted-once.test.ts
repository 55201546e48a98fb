/** An OPEN that was never answered is repeated by RESUME: its stream is accepted once, however long that takes. */
import { describe, expect, it } from 'vitest'
import { endpointLimits } from '../../relay/endpoint/options.ts'
import { World } from './world.ts'

const quick = { keepaliveMs: 200, silenceMs: 600, minBackoffMs: 5, maxBackoffMs: 100, handshakeMs: 500 }
const limits = { ...quick, openTimeoutMs: 3_000, tombstoneMs: 5_000, orphanMs: 5_000, noRelayMs: 30_000 }
const script = { writes: 2, pieceBytes: 1_000, pauseMs: 0, readDelayMs: 0, keepsOpen: true }

describe('a stream whose opener never heard that it was accepted', () => {
  it('is not accepted again when its opener has given it up, and its acceptor has forgotten that it ended', async () => {
    const world = new World({ relayLimits: { keepaliveMs: 200, silenceMs: 600, graceMs: 300, leaseMs: 900 } })
    const alice = world.endpoint({ address: '127.64.0.1', limits })
    const bob = world.endpoint({ address: '127.64.0.2', limits })
    await world.pass(100)
    const { acceptors } = world.talk(alice, bob.address, script, { ...script, acceptsAfterMs: 30 })
    await world.pass(5)
    // From here on alice hears nothing, and comes nowhere: she is given up at the relay.
    for (const { near } of alice.connections) near.silence()
    world.relay.refuses = 1
    await world.pass(1_500)
    expect(acceptors.map(({ talker }) => talker.ending)).toEqual([{ is: 'reset', reason: 'gone' }])
    await world.pass(5_600)
    // Bob has forgotten that, and alice, who has given the stream up, still tries to say so.
    expect(bob.endpoint.figures().tombstones).toBe(0)
    expect(alice.endpoint.figures()).toMatchObject({ openStreams: 1, resets: { timeout: 1 } })
    world.relay.refuses = 0
    await world.pass(15_000)
    expect(alice.endpoint.figures().resumes).toBe(1)
    expect(acceptors).toHaveLength(1)
    expect(world.faults).toEqual([])
    expect(alice.endpoint.figures().openStreams).toBe(0)
  })
})

describe('how long an acceptor remembers', () => {
  it('is never less than an opener may repeat itself', () => {
    expect(endpointLimits('bulk').tombstoneMs).toBe(60_000)
    expect(endpointLimits('bulk', { silenceMs: 180_000 }).tombstoneMs).toBe(210_000)
    expect(() => endpointLimits('bulk', { tombstoneMs: 35_999 })).toThrow(
      /tombstoneMs is 35999, must be 36000 at least/,
    )
  })
})
