/** Bytes a second between some of the parties of a world. */
import { type World, wait } from './world.ts'

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
