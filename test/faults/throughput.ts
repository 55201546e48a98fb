/** Bytes a second between some of the parties of a world. */
import { type World, wait } from './world.ts'

const MiB = 1024 * 1024

/** Of all streams whose two ends `isOfOthers` accepts, both directions, over `ms`. */
export async function throughput(
  world: World,
  ms: number,
  isOfOthers: (address: string, peer: string) => boolean,
): Promise<number> {
  const sum = async (): Promise<number> => {
    let bytes = 0
    for (const party of world.crowd.living) {
      const { streams } = await party.report()
      for (const one of streams) if (isOfOthers(party.address, one.peer)) bytes += one.received
    }
    return bytes
  }
  const beganMs = performance.now()
  const before = await sum()
  await wait(ms)
  return ((await sum()) - before) / ((performance.now() - beganMs) / 1000)
}

/** Checks that those whose bytes these are lost no more than a tenth. `where`: what the check's name ends with. */
export function checkOthers(world: World, before: number, during: number, where = ''): void {
  const share = during / before
  world.figures['MiB/s of the others before'] = Math.round((before / MiB) * 10) / 10
  world.checkTime(
    `the others keep ≥ 90 % of their throughput${where}`,
    share >= 0.9,
    `${Math.round(share * 100)} %`,
  )
}
