/** Redis dies, hangs, comes back empty, fails over, or is cut off from a relay: running streams go on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Fleet, type FleetEndpoint, type FleetOptions, finishAll } from '../../helper/fleet.ts'
import { eventually, startSentinels, whyNoRedis } from '../../helper/redis.ts'

const reason = whyNoRedis()

async function fleetOf(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await Fleet.start({ isQuick: true, ...options })
  onTestFinished(() => fleet.stop())
  return fleet
}
const homesOf = (endpoints: readonly FleetEndpoint[]): string[] => endpoints.map((one) => one.homes.join(' '))
const tell = (what: string, ms: number): void => console.log(`${what}: longest stall ${Math.round(ms)} ms`)

describe.skipIf(reason !== undefined)('three relays', () => {
  it('keep all streams while Redis is gone for longer than half a lease and returns empty', async () => {
    const fleet = await fleetOf()
    const endpoints = await fleet.attached(6)
    const before = homesOf(endpoints)
    const streams = await fleet.ring(endpoints)
    await fleet.redis?.kill()
    await eventually('no relay is ready', async () => {
      return (await Promise.all(fleet.relays.map((one) => one.isReady()))).every((ready) => !ready)
    })
    const late = fleet.endpoint()
    await sleep(5_000)
    const asked = await Promise.all(
      fleet.relays.map((one) => one.figure('slr_relay_go_aways_total', 'why="cut-off"')),
    )
    expect(asked.reduce((sum, one) => sum + one, 0)).toBe(6)
    expect(homesOf(endpoints)).toEqual(before) // asked to move, nobody could
    expect(late.isAttached).toBe(false)
    await fleet.redis?.start()
    const began = performance.now()
    await eventually(
      'the leases are there again',
      () => {
        const keys = fleet.redis?.tryCli('keys', 'slr:*:bulk') ?? ''
        return endpoints.every((one) => keys.includes(one.address))
      },
      5_000,
    )
    console.log(`leases rebuilt ${Math.round(performance.now() - began)} ms after an empty return`)
    await eventually('who had to wait is attached', () => late.isAttached, 10_000)
    const streamOfLate = await fleet.stream(late, endpoints[0] as FleetEndpoint)
    expect(homesOf(endpoints)).toEqual(before) // nor did anybody when it was back
    const stallMs = await finishAll([...streams, streamOfLate])
    tell('Redis killed for 5 s', stallMs)
    expect(stallMs).toBeLessThan(1_000 + fleet.standstillMs)
  })

  it('hold to a retirement that the driver spoke while Redis was away, and tell it once', async () => {
    const fleet = await fleetOf()
    const driver = fleet.endpoint({ role: 'driver', address: '127.64.0.1' })
    const [victim] = await fleet.attached(1)
    if (victim === undefined) throw new Error('no victim')
    await eventually('the driver is attached', () => driver.isAttached)
    await fleet.redis?.kill()
    victim.endpoint.abandon()
    await eventually('no relay is ready', async () => {
      return (await Promise.all(fleet.relays.map((one) => one.isReady()))).every((ready) => !ready)
    })
    driver.endpoint.retire(victim.address, 0)
    await sleep(1_500) // told, refused, told again
    await fleet.redis?.start()
    const name = () => fleet.redis?.tryCli('keys', `slr:*${victim.address}*:address`)?.trim() ?? ''
    const retired = () => fleet.redis?.tryCli('hget', name(), 'retired')?.trim()
    await eventually('Redis has taken it', () => retired() === '0', 5_000)
    const old = fleet.endpoint({ address: victim.address, generation: 0 })
    await eventually('the old generation is refused', () => old.failure?.code === 'retired', 5_000)
    const next = fleet.endpoint({ address: victim.address, generation: 1 })
    await eventually('the next one is not', () => next.isAttached, 10_000)
    const told = async (): Promise<number> => {
      const label = 'command="retire"'
      const each = await Promise.all(
        fleet.relays.map((one) => one.figure('slr_relay_directory_commands_total', label)),
      )
      return each.reduce((sum, one) => sum + one, 0)
    }
    // Each relay tells what it knows when Redis is back for it, and no more from then on.
    await eventually('all relays are ready', async () => {
      return (await Promise.all(fleet.relays.map((one) => one.isReady()))).every((ready) => ready)
    })
    await sleep(1_000)
    const before = await told()
    expect(before).toBeGreaterThan(0)
    await sleep(3_000) // six rounds of housekeeping
    expect(await told()).toBe(before)
  })

  it('keep all streams while Redis hangs, and nobody moves', async () => {
    const fleet = await fleetOf()
    const endpoints = await fleet.attached(6)
    const before = homesOf(endpoints)
    const streams = await fleet.ring(endpoints)
    fleet.redis?.hang()
    await sleep(5_000)
    expect(homesOf(endpoints)).toEqual(before)
    fleet.redis?.goOn()
    await sleep(3_000)
    const stallMs = await finishAll(streams)
    tell('Redis stopped for 5 s', stallMs)
    expect(stallMs).toBeLessThan(1_000 + fleet.standstillMs)
  })

  it('lose no byte when one is cut off from Redis: its endpoints move, those of the others stay', async () => {
    const fleet = await fleetOf()
    const endpoints = await fleet.attached(9)
    const streams = await fleet.ring(endpoints)
    const cut = fleet.relays[0]
    if (cut === undefined) throw new Error('no relay')
    const homes = await Promise.all(endpoints.map((one) => fleet.homeOf(one)))
    const there = endpoints.filter((_, i) => homes[i] === cut)
    const elsewhere = endpoints.filter((_, i) => homes[i] !== cut)
    expect(there.length).toBeGreaterThan(0)
    const stayed = homesOf(elsewhere)
    cut.path?.cut()
    await eventually('its endpoints have moved', () => there.every((one) => one.homes.length === 2), 15_000)
    expect(homesOf(elsewhere)).toEqual(stayed)
    await eventually('their old links are gone', async () => {
      return (await cut.figure('slr_relay_links', 'state="attached"')) === 0
    })
    await sleep(1_000)
    const stallMs = await finishAll(streams)
    tell('one relay cut off from Redis', stallMs)
    expect(stallMs).toBeLessThan(1_000 + fleet.standstillMs)
    cut.path?.mend()
    await eventually('it is ready again', () => cut.isReady(), 5_000)
  })

  it('go on through a failover of Sentinels', async () => {
    const group = await startSentinels()
    onTestFinished(() => group.stop())
    const fleet = await fleetOf({ redisUrl: group.url })
    const endpoints = await fleet.attached(6)
    const before = homesOf(endpoints)
    const streams = await fleet.ring(endpoints)
    await group.servers[0]?.kill()
    const late = fleet.endpoint()
    await eventually('a new endpoint gets in', () => late.isAttached, 20_000)
    const more = await fleet.stream(late, endpoints[3] as FleetEndpoint)
    expect(homesOf(endpoints)).toEqual(before)
    const stallMs = await finishAll([...streams, more])
    tell('failover', stallMs)
    expect(stallMs).toBeLessThan(1_000 + fleet.standstillMs)
  })
})
