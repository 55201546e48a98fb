/** A thousand functions that start at the same moment. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { Fleet, type FleetEndpoint, finishAll } from '../helper/fleet.ts'
import { runLoad } from './load.ts'

describe('1,000 endpoints that attach at once', () => {
  it('are all home within 10 s, none refused, and hold 20,000 idle streams', async () => {
    const result = await runLoad({
      endpoints: 1_000,
      streams: 20_000,
      relays: 3,
      processes: 4,
      holdMs: 5_000,
    })
    console.info(JSON.stringify(result))
    expect(result.failures).toEqual([])
    expect(result.attach.maxMs).toBeLessThan(10_000)
    expect(result.streams).toBe(20_000)
    expect(result.resets).toBe(0)
    expect(result.detached).toBe(0)
  })

  it('are refused by no relay, and meet', async () => {
    const fleet = await Fleet.start({ isQuick: true, relays: 3 })
    onTestFinished(() => fleet.stop())
    const began = performance.now()
    const endpoints = await fleet.attached(1_000, {}, 10_000)
    const ms = performance.now() - began
    console.info(`1,000 endpoints attached in ${Math.round(ms)} ms`)
    expect(ms).toBeLessThan(10_000)
    const refused = await Promise.all(fleet.relays.map((one) => one.figure('slr_relay_refusals_total')))
    expect(refused).toEqual([0, 0, 0])
    const pairs = Array.from({ length: 20 }, (_, i) => [endpoints[i], endpoints[999 - i]] as const)
    const streams = await Promise.all(
      pairs.map(([from, to]) => fleet.stream(from as FleetEndpoint, to as FleetEndpoint, 20_000)),
    )
    await finishAll(streams)
  })
})
