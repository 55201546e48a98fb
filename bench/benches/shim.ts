/**
 * Question: how much of a function does the tunnel take beside its JVM, and how soon is it there?
 * Setup: an endpoint as the shim has it, bundled as for Lambda; idle for some seconds, then
 * serving 8 blocks at once while they are fetched. From the start of the process to both classes
 * attached.
 * Rivals: bare Node, as the floor.
 * Answer: resident memory, MiB; ms.
 * Fails above 72 MiB idle, 128 MiB under load, or 200 ms.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Bench, limitGoal } from '../bench.ts'
import { bareNode } from '../contestants/bare-node.ts'
import { contestants, startWorld } from '../contestants/index.ts'
import { NOISE, noiseOf, sampleOf } from '../measure/sample.ts'
import { runLoad } from '../testbed/load.ts'

const IDLE_MS = 3_000

export const shim: Bench = {
  name: 'shim',
  question: 'How much of a function does the tunnel take beside its JVM, and how soon is it there?',
  setup: 'an endpoint bundled as for Lambda: idle, then serving 8 blocks of 4 MiB at once',
  contestants: [...contestants('ours'), bareNode],
  columns: [
    { key: 'idleMib', head: 'idle, MiB', digits: 0, better: 'less' },
    { key: 'loadMib', head: 'under load, MiB', digits: 0, better: 'less' },
    { key: 'attachedMs', head: 'start to attached, ms', digits: 0, better: 'less' },
  ],
  isQuick: true,
  window: (seconds) => `${IDLE_MS / 1_000} s idle and ${seconds} s under load each`,
  async measure(contestant, bed, { seconds }) {
    if (contestant.world === undefined) {
      await contestant.start(bed)
      const start = bed.read()
      await wait(1_000)
      const end = bed.read()
      const sample = sampleOf({}, start, end)
      return { ...sample, idleMib: sample.senderResidentMib ?? Number.NaN }
    }
    const start = bed.read()
    const world = await startWorld(bed, { ...contestant.world, isBundled: true })
    const [port, sinkPort] = [await bed.port(), await bed.port()]
    await world.endpoint('receiver', [{ index: 1, dials: [{ port, class: 'bulk' }] }])
    // The one that is looked at serves: it sends blocks, as an executor does.
    const attachedMs = await world.endpoint('sender', [{ index: 2, serves: [{ port, to: sinkPort }] }])
    await wait(IDLE_MS)
    const idle = bed.read()
    const load = await runLoad(
      bed,
      { entries: [`127.64.0.2:${port}`], sinkPort },
      {
        case: 'block',
        conns: 4,
        inflight: 2,
        requestBytes: 130,
        replyBytes: 4 << 20,
        seconds,
      },
    )
    const before = sampleOf({}, start, idle)
    return {
      ...load,
      idleMib: before.senderResidentMib ?? Number.NaN,
      loadMib: load.senderResidentMib ?? Number.NaN,
      attachedMs,
      [NOISE]: noiseOf(before, load),
    }
  },
  judge: (rows) => [
    limitGoal(rows, { says: 'idle ≤ 72 MiB', key: 'idleMib', atMost: 72 }),
    limitGoal(rows, { says: 'under load ≤ 128 MiB', key: 'loadMib', atMost: 128 }),
    limitGoal(rows, { says: 'start to attached ≤ 200 ms', key: 'attachedMs', atMost: 200 }),
  ],
}
