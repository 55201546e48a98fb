/** Rows about links that are cut, refused, slow or silent, over Unix sockets with a fault proxy before each relay. */
import { join } from 'node:path'
import { FaultProxy } from '../../helper/fault-proxy.ts'
import { mulberry } from '../random.ts'
import type { FaultRow, RowContext, RowResult } from '../row.ts'
import { checkOthers, throughput } from '../throughput.ts'
import { inWorld, type World, type WorldOptions, wait } from '../world.ts'

const RELAYS = 3

/** Parties reach each relay by its proxy only: relays tell the proxies' URLs. */
export async function behindProxies(
  row: string,
  context: RowContext,
  options: WorldOptions,
  plot: (world: World, proxies: readonly FaultProxy[]) => Promise<void>,
): Promise<RowResult> {
  const random = mulberry(context.seed)
  const proxies: Promise<FaultProxy>[] = []
  try {
    return await inWorld(
      row,
      context,
      {
        ...options,
        relays: RELAYS,
        listen: (index, folder) => `unix:${join(folder, `r${index}.sock`)}`,
        advertise: (index, folder) => {
          const url = `unix:${join(folder, `p${index}.sock`)}`
          proxies.push(FaultProxy.start(url, `unix:${join(folder, `r${index}.sock`)}`, random))
          return url
        },
      },
      async (world) => await plot(world, await Promise.all(proxies)),
    )
  } finally {
    await Promise.all(proxies.map(async (proxy) => await (await proxy).stop()))
  }
}

export const resets: FaultRow = {
  name: 'link-resets',
  fault: 'link reset every 2 s for 60 s',
  means: 'a fault proxy before each relay’s Unix socket ends all connections',
  run: (context) =>
    behindProxies('link-resets', context, {}, async (world, proxies) => {
      for (let ms = 0; ms < (context.isLong ? 60_000 : 8_000); ms += 2_000) {
        for (const proxy of proxies) proxy.resetAll()
        await wait(2_000)
      }
      await world.checkStalls(2_000)
    }),
}

export const refusedDials: FaultRow = {
  name: 'refused-dials',
  fault: '1 %, 5 % of dials refused',
  means:
    'a fault proxy before each relay’s Unix socket refuses dials at random, and ends all connections every 2 s so that there are dials',
  run: (context) =>
    behindProxies('refused-dials', context, {}, async (world, proxies) => {
      for (const percent of [1, 5]) {
        for (const proxy of proxies) proxy.refusedPercent = percent
        for (let ms = 0; ms < (context.isLong ? 30_000 : 6_000); ms += 2_000) {
          for (const proxy of proxies) proxy.resetAll()
          await wait(2_000)
        }
      }
      world.figures.dials = proxies.reduce((sum, { dials }) => sum + dials, 0)
      world.figures.refused = proxies.reduce((sum, { refused }) => sum + refused, 0)
      await world.checkStalls(3_000)
    }),
}

export const slowUplink: FaultRow = {
  name: 'slow-uplink',
  fault: '100 ms of delay and 10 Mbit/s on one executor',
  means:
    'a fault proxy before each relay’s Unix socket delays and paces the links of one address, which it reads from the token',
  run: (context) =>
    behindProxies(
      'slow-uplink',
      context,
      { crowd: { chunkBytes: { urgent: 256, bulk: 16 * 1024 } } },
      async (world, proxies) => {
        const victim = world.crowd.party(2).address
        const isOfOthers = (address: string, peer: string): boolean => address !== victim && peer !== victim
        const before = await throughput(world, 3_000, isOfOthers)
        const shape = { latencyMs: 100, bytesPerSecond: 10_000_000 / 8 }
        for (const proxy of proxies) proxy.shapeLinksOf(victim, shape)
        await wait(1_000)
        const during = await throughput(world, context.isLong ? 20_000 : 4_000, isOfOthers)
        checkOthers(world, before, during)
        await world.checkStalls(context.times.silenceMs + 2_000)
        for (const proxy of proxies) proxy.shapeLinksOf(victim, undefined)
        await wait(1_000)
      },
    ),
}

export const silentUplink: FaultRow = {
  name: 'silent-uplink',
  fault: 'all bytes of one Unix-socket uplink dropped silently, for good',
  means:
    'a fault proxy before each relay’s Unix socket passes nothing more of the links that one address has',
  run: (context) =>
    behindProxies('silent-uplink', context, {}, async (world, proxies) => {
      const { address } = world.crowd.party(2)
      for (const proxy of proxies) for (const link of proxy.linksOf(address)) link.silence('both')
      await wait(context.times.silenceMs + 3_000)
      await world.checkStalls(context.times.silenceMs + 2_000)
    }),
}
