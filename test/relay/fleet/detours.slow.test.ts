/** Endpoints that can dial no relay's URL, as in a function without a network: each has another way to each. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bridgeUplinks } from '../../../driver-agent/local/uplink-bridge.ts'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { Fleet, finishAll } from '../../helper/fleet.ts'
import { whyNoRedis } from '../../helper/redis.ts'

describe.skipIf(whyNoRedis() !== undefined)('with a detour to each of two relays', () => {
  it('endpoints of different homes meet, though relays name each other by URLs that lead nowhere', async () => {
    const names = ['tcp://relay-0.invalid:7100', 'tcp://relay-1.invalid:7100'] as const
    const fleet = await Fleet.start({ relays: 0, isQuick: true })
    onTestFinished(() => fleet.stop())
    for (const name of names) await fleet.addRelay({ args: ['--advertise', name] })
    const dir = mkdtempSync(join(tmpdir(), 'slr-detours-'))
    const reals = fleet.relays.map(({ url }) => url)
    const bridge = await bridgeUplinks(reals, dir, undefined, pino({ level: 'silent' }))
    onTestFinished(() => {
      bridge.close()
      rmSync(dir, { recursive: true, force: true })
    })
    const detours = Object.fromEntries(
      names.map((name, n) => [name, bridge.detours[reals[n] as string] as string]),
    )
    const dialer = createPipeDialer({ detours })
    const endpoints = await fleet.attached(8, { relays: names, dialer })
    expect(new Set(endpoints.map((one) => one.home)).size).toBe(2)
    await finishAll(await fleet.ring(endpoints))
    const redirects = await Promise.all(
      reals.map(async (url) => (await fetch(`${url.replace('tcp', 'http')}/metrics`)).text()),
    )
    expect(redirects.join('\n')).toMatch(/slr_relay_redirects_total\S* [1-9]/)
  })
})
