/**
 * Question: what does an idle endpoint cost the relay?
 * Setup: as many endpoints as descriptors allow, min(10,000, limit / 2.5), each with its two
 * links; memory of the relay with a quarter of them and with all.
 * Rivals: none have endpoints that wait.
 * Answer: KiB an endpoint (slope), and the relay's CPU time while all of them only live.
 * Fails above 16 KiB an endpoint.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import { contestants, startWorld } from '../contestants/index.ts'
import { limitGoal, reportGoal } from '../goals.ts'
import { descriptorLimit } from '../measure/machine.ts'
import { sampleOf } from '../measure/sample.ts'

/** Endpoints in one process: each needs two descriptors there. */
const PER_PROCESS = 1_000
const SETTLE_MS = 4_000

export const idleEndpoints: Bench = {
  name: 'idle-endpoints',
  question: 'What does an idle endpoint cost the relay?',
  setup: 'min(10,000, descriptors / 2.5) endpoints with two links each, none of which has anything to say',
  contestants: contestants('ours'),
  columns: [
    { key: 'relayKibEndpoint', head: 'relay, KiB an endpoint', digits: 1, better: 'less' },
    { key: 'endpoints', head: 'endpoints', digits: 0, better: 'more' },
    { key: 'relayCores', head: 'relay, cores', digits: 2, better: 'less' },
  ],
  needs: [],
  window: (seconds) => `${seconds} s of silence each`,
  async measure(contestant, bed, { seconds }) {
    if (contestant.world === undefined) throw new Error('idle-endpoints places endpoints of ours')
    const count = Math.min(10_000, Math.floor(descriptorLimit() / 2.5))
    const world = await startWorld(bed, contestant.world)
    const relayBytes = (): number => bed.read().byRole.get('relay')?.residentBytes ?? Number.NaN
    let at = 0
    const attachTo = async (until: number): Promise<number> => {
      while (at < until) {
        const size = Math.min(PER_PROCESS, until - at)
        const first = at + 1
        await world.endpoint(
          'helper',
          Array.from({ length: size }, (_, n) => ({ index: first + n, bulkThread: false })),
        )
        at += size
      }
      await wait(SETTLE_MS)
      return relayBytes()
    }
    const quarter = Math.floor(count / 4)
    const before = await attachTo(quarter)
    const after = await attachTo(count)
    const start = bed.read()
    await wait(seconds * 1_000)
    const sample = sampleOf({}, start, bed.read())
    return { ...sample, endpoints: count, relayKibEndpoint: (after - before) / 1024 / (count - quarter) }
  },
  judge: (rows) => [
    limitGoal(rows, { says: 'relay ≤ 16 KiB an endpoint', key: 'relayKibEndpoint', atMost: 16 }),
    reportGoal(rows, { says: 'relay, cores, while all of them only live', key: 'relayCores' }),
  ],
}
