/** Relays that die, hang or leave under streams of checked bytes: others take over, and nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Fleet, type FleetOptions, finishAll } from '../../helper/fleet.ts'
import { eventually, whyNoRedis } from '../../helper/redis.ts'

const reason = whyNoRedis()

async function fleetOf(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await Fleet.start(options)
  onTestFinished(() => fleet.stop())
  return fleet
}
const tell = (what: string, ms: number): void => console.log(`${what}: longest stall ${Math.round(ms)} ms`)

describe.skipIf(reason !== undefined)('with three relays', () => {
  it('carries each byte over exactly one relay, also between endpoints of different homes', async () => {
    const fleet = await fleetOf()
    const endpoints = await fleet.attached(12)
    expect(new Set(endpoints.map((one) => one.home)).size).toBe(3)
    const streams = await fleet.ring(endpoints)
    await sleep(2_000)
    await finishAll(streams)
    const payload = streams.reduce((sum, one) => sum + one.opener.sentBytes + one.acceptor.sentBytes, 0)
    const forwarded = await Promise.all(
      fleet.relays.map((one) => one.figure('slr_relay_forwarded_bytes_total')),
    )
    expect(forwarded.reduce((sum, one) => sum + one, 0)).toBe(payload)
    expect(forwarded.filter((one) => one > 0)).toHaveLength(3)
    const redirects = await Promise.all(fleet.relays.map((one) => one.figure('slr_relay_redirects_total')))
    expect(redirects.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(0)
  })

  it('goes on when a relay is killed, and then another', async () => {
    const fleet = await fleetOf()
    const streams = await fleet.ring(await fleet.attached(6))
    await sleep(500)
    await fleet.relays[0]?.kill()
    await sleep(3_000)
    await fleet.relays[1]?.kill()
    await sleep(3_000)
    const stallMs = await finishAll(streams)
    tell('two relays killed', stallMs)
    expect(stallMs).toBeLessThan(5_000 + fleet.standstillMs)
  })

  it('replaces its relays one after the other without a pause of a second', async () => {
    const fleet = await fleetOf()
    const streams = await fleet.ring(await fleet.attached(6))
    await sleep(500)
    for (const relay of fleet.relays) {
      const { ms, code } = await relay.leave()
      expect([relay.index, code]).toEqual([relay.index, 0])
      expect(ms).toBeLessThan(10_000)
      await relay.start()
      await sleep(1_500)
    }
    const stallMs = await finishAll(streams)
    tell('rolling replacement', stallMs)
    expect(stallMs).toBeLessThan(1_000 + fleet.standstillMs)
  })

  it('finds a relay that hangs within the time of silence, and is not harmed when it goes on', async () => {
    const fleet = await fleetOf()
    const streams = await fleet.ring(await fleet.attached(6))
    await sleep(500)
    fleet.relays[1]?.hang()
    await sleep(9_000)
    fleet.relays[1]?.goOn()
    await sleep(1_500)
    const stallMs = await finishAll(streams)
    tell('a relay stopped for 9 s', stallMs)
    expect(stallMs).toBeLessThan(8_000 + fleet.standstillMs)
  })

  it('brings both ends together when each loses its relay at another moment', async () => {
    const fleet = await fleetOf()
    const [one, two] = await fleet.attached(2)
    if (one === undefined || two === undefined) throw new Error('no endpoints')
    const streams = await Promise.all(Array.from({ length: 20 }, () => fleet.stream(one, two, 100_000)))
    const [homeOfOne, homeOfTwo] = [await fleet.homeOf(one), await fleet.homeOf(two)]
    await homeOfTwo.kill()
    await sleep(150)
    if (homeOfOne !== homeOfTwo) await homeOfOne.kill()
    await sleep(2_500)
    const stallMs = await finishAll(streams)
    tell('both ends lose their relays', stallMs)
    expect(stallMs).toBeLessThan(5_000 + fleet.standstillMs)
    expect(one.endpoint.figures().openStreams).toBe(0)
  })

  it('tells the peers of a retired address within a second, whichever relay they are at', async () => {
    const fleet = await fleetOf()
    const driver = fleet.endpoint({ role: 'driver', address: '127.64.0.1' })
    const executors = await fleet.attached(6)
    const victim = executors[0]
    if (victim === undefined) throw new Error('no victim')
    await eventually('the driver is attached', () => driver.isAttached)
    const streams = await Promise.all(executors.slice(1).map((one) => fleet.stream(one, victim, 50_000)))
    const others = await fleet.ring(executors.slice(1), 50_000)
    victim.endpoint.abandon()
    const began = performance.now()
    driver.endpoint.retire(victim.address, 0)
    await eventually('all peers know', () => streams.every((one) => one.opener.state === 'reset'), 5_000)
    expect(performance.now() - began).toBeLessThan(1_000 + fleet.standstillMs)
    expect(streams.map((one) => one.opener.resetReason)).toEqual(streams.map(() => 'gone'))
    await finishAll(others)
  })
})
