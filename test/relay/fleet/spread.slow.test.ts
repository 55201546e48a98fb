/** Many endpoints come at once: they spread over the relays, and all get in. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Endpoint } from '../../../relay/endpoint/index.ts'
import { Fleet, type FleetEndpoint, type FleetOptions, finishAll } from '../../helper/fleet.ts'
import { eventually, whyNoRedis } from '../../helper/redis.ts'

const reason = whyNoRedis()

async function fleetOf(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await Fleet.start({ isQuick: true, ...options })
  onTestFinished(() => fleet.stop())
  return fleet
}
async function attachedAt(fleet: Fleet): Promise<number[]> {
  return await Promise.all(fleet.relays.map((one) => one.figure('slr_relay_links', 'state="attached"')))
}

describe.skipIf(reason !== undefined)('many endpoints', () => {
  it.each(['one relay only', 'all relays'] as const)(
    'that know %s spread over four relays, 200 of them to 1.3 × the mean at most',
    async (known) => {
      const fleet = await fleetOf({ relays: 4 })
      const relays = known === 'all relays' ? fleet.urls : fleet.urls.slice(0, 1)
      await fleet.attached(200, { relays })
      const links = await attachedAt(fleet)
      console.log(`200 endpoints that know ${known}: ${links.join(', ')}`)
      expect(links.reduce((sum, one) => sum + one, 0)).toBe(200)
      expect(Math.max(...links)).toBeLessThanOrEqual(65)
      const taken = await Promise.all(fleet.relays.map((one) => one.figure('slr_relay_refusals_total')))
      expect(taken).toEqual([0, 0, 0, 0])
    },
  )

  it('go where their class is wanted, and meet all the same', async () => {
    const fleet = await fleetOf({ relays: 2, args: ['--classes', 'bulk'] })
    const urgent = await fleet.addRelay({ args: ['--classes', 'urgent'] })
    const bulk = await fleet.attached(6, { relays: [urgent.url] })
    const quick = await fleet.attached(6, { class: 'urgent' })
    expect(await urgent.figure('slr_relay_links', 'class="urgent",state="attached"')).toBe(6)
    expect(await urgent.figure('slr_relay_links', 'class="bulk",state="attached"')).toBe(0)
    const streams = [...(await fleet.ring(bulk)), ...(await fleet.ring(quick))]
    await finishAll(streams)
    // Beside each other on a machine, bulk gives way to urgent.
    expect(getPriority(fleet.relays[0]?.process.child.pid)).toBe(10)
    expect(getPriority(urgent.process.child.pid)).toBe(0)
  })

  it('ask Redis once for a peer that several of them open to', async () => {
    const fleet = await fleetOf({ relays: 2 })
    const endpoints = await fleet.attached(8)
    const lookups = async (): Promise<number> => {
      const each = await Promise.all(
        fleet.relays.map((one) => one.figure('slr_relay_directory_commands_total', 'command="lookup"')),
      )
      return each.reduce((sum, one) => sum + one, 0)
    }
    const before = await lookups()
    const [first, ...others] = endpoints as [FleetEndpoint, ...FleetEndpoint[]]
    const streams = await Promise.all(
      others.flatMap((one) => [1, 2, 3, 4].map(() => fleet.stream(one, first, 20_000))),
    )
    const asked = (await lookups()) - before
    console.log(`${streams.length} streams opened to one address: ${asked} lookups in Redis`)
    expect(asked).toBeLessThanOrEqual(2)
    await finishAll(streams)
  })
})

describe.skipIf(reason !== undefined)('relay --workers', () => {
  it('runs nodes side by side, starts one again that dies, and ends with them on SIGTERM', async () => {
    const fleet = await fleetOf({ relays: 1, args: ['--workers', '3'] })
    const parent = fleet.relays[0]
    if (parent === undefined) throw new Error('no relay')
    const urls = await parent.process.listening
    expect(new Set(urls).size).toBe(3)
    const endpoints = Array.from({ length: 9 }, () => fleet.endpoint({ relays: urls }))
    await eventually('all are attached', () => endpoints.every((one) => one.isAttached))
    expect(new Set(endpoints.map((one) => one.home)).size).toBe(3)
    const streams = await fleet.ring(endpoints, 100_000)
    const pids = (): number[] =>
      [...parent.process.output.stderr.matchAll(/"worker":\d+,"pid":(\d+)/g)].map((found) => Number(found[1]))
    const [victim] = pids()
    process.kill(victim as number, 'SIGKILL')
    await eventually('a worker was started again', () => pids().length === 4)
    const stallMs = await finishAll(streams)
    console.log(`a worker killed: longest stall ${Math.round(stallMs)} ms`)
    expect(stallMs).toBeLessThan(5_000)
    const states: Endpoint['state'][] = endpoints.map((one) => one.endpoint.state)
    expect(states).toEqual(states.map(() => 'attached'))
    for (const { endpoint } of endpoints) await endpoint.close()
    expect(await parent.leave()).toMatchObject({ code: 0 })
    await eventually('no worker is left', () => pids().every((pid) => !isAlive(pid)), 3_000)
  })

  it('leaves no worker behind when the parent is killed', async () => {
    const fleet = await fleetOf({ relays: 1, args: ['--workers', '2', '--drain', '1s'] })
    const parent = fleet.relays[0]
    if (parent === undefined) throw new Error('no relay')
    const pids = [...parent.process.output.stderr.matchAll(/"worker":\d+,"pid":(\d+)/g)].map((found) =>
      Number(found[1]),
    )
    expect(pids).toHaveLength(2)
    parent.process.child.kill('SIGKILL')
    await eventually('no worker is left', () => pids.every((pid) => !isAlive(pid)), 8_000)
  })

  it('says what is wrong once, and ends with 2, when a worker cannot be started', async () => {
    const fleet = await fleetOf({ relays: 1 })
    // By paths and not by ports: of two ports in a row, a test beside this one may have either.
    const folder = mkdtempSync(join(tmpdir(), 'slr-spread-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'relay.sock')
    const other = net.createServer().listen(`${path}.1`)
    onTestFinished(() => {
      other.close()
    })
    await once(other, 'listening')
    const second = await fleet.addRelay({ args: ['--workers', '2'], listen: `unix:${path}`, fails: true })
    expect(await second.process.ended).toMatchObject({ code: 2 })
    const said = second.process.output.stderr.split('\n').filter((line) => line.includes('in use'))
    expect(said).toEqual([expect.stringContaining(`--listen unix:${path}.1 is in use`)])
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
