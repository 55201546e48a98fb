/**
 * Question: how much of a function does the tunnel take beside its JVM, and how soon is it there?
 * Setup: the product's own program, built, as a function's shim: given its payload, in a network namespace of its own,
 * with a stand-in for the JVM; idle for some seconds, then sending 8 blocks at once while it receives 8, over
 * loopback, where a round trip takes far less than 1 ms. Before it another fills the cache of compiled code that
 * the local provider gives to shims.
 * Rivals: bare Node, as the floor.
 * Answer: resident memory of the shim's process, MiB: idle, and its peak under load; ms from the start of the
 * program to the agent's hearing that it is there, and the same of the first, whose cache is empty.
 * Fails above 72 MiB idle, 128 MiB under load, or 200 ms. The first start is reported.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import { bareNode } from '../contestants/bare-node.ts'
import type { Contestant, OursOptions } from '../contestants/contestant.ts'
import { contestants, startWorld } from '../contestants/index.ts'
import { type ShimFunction, startShim } from '../contestants/shim-function.ts'
import { limitGoal, reportGoal } from '../goals.ts'
import { resetPeak, residentOf } from '../measure/process-usage.ts'
import { NOISE, noiseOf, type Sample, sampleOf } from '../measure/sample.ts'
import { argumentsOf, runLoad } from '../testbed/load.ts'
import { root } from '../testbed/programs.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'
import { throughput } from './columns.ts'

const IDLE_MS = 3_000
/** The stand-in fetches until it is ended, s. */
const FOREVER_S = 600

const fetches = { case: 'block', conns: 4, inflight: 2, requestBytes: 130, replyBytes: 4 << 20 } as const

export const shim: Bench = {
  name: 'shim',
  question: 'How much of a function does the shim take beside its JVM, and how soon is it there?',
  setup:
    'the built program as a function’s shim, its JVM a stand-in: idle, then sending 8 blocks of 4 MiB at once and receiving 8, over loopback',
  contestants: [...contestants('ours'), bareNode],
  columns: [
    // Keys are not those of results of before, which measured a stand-in for the shim.
    { key: 'residentMib', head: 'idle, MiB', digits: 0, better: 'less' },
    { key: 'peakMib', head: 'under load, MiB', digits: 0, better: 'less' },
    { key: 'startedMs', head: 'start to started, ms', digits: 0, better: 'less' },
    { key: 'firstMs', head: 'the first, ms', digits: 0, better: 'less' },
    { ...throughput, key: 'sentMibS', head: 'sent, MiB/s' },
    { ...throughput, key: 'receivedMibS', head: 'received, MiB/s' },
  ],
  isQuick: true,
  window: (seconds) => `${IDLE_MS / 1_000} s idle and ${seconds} s under load each`,
  measure: (contestant, bed, { seconds }) =>
    contestant.world === undefined
      ? measureBare(contestant, bed)
      : measureShim(contestant.world, bed, seconds),
  judge: (rows) => [
    limitGoal(rows, { says: 'idle ≤ 72 MiB', key: 'residentMib', atMost: 72 }),
    limitGoal(rows, { says: 'under load ≤ 128 MiB', key: 'peakMib', atMost: 128 }),
    limitGoal(rows, { says: 'start to the agent’s hearing of it ≤ 200 ms', key: 'startedMs', atMost: 200 }),
    reportGoal(rows, { says: 'the same of the first, without compiled code, ms', key: 'firstMs' }),
  ],
}

async function measureBare(contestant: Contestant, bed: Testbed): Promise<Sample> {
  await contestant.start(bed)
  const start = bed.read()
  await wait(1_000)
  const sample = sampleOf({}, start, bed.read())
  return { ...sample, residentMib: sample.senderResidentMib ?? Number.NaN }
}

async function measureShim(options: OursOptions, bed: Testbed, seconds: number): Promise<Sample> {
  const start = bed.read()
  const compileCache = join(bed.dir, 'compiled')
  const firstMs = await startAndEnd(options, bed.another(), compileCache)
  const { mine, sinkPort } = await startOne(options, bed, compileCache)
  try {
    await wait(IDLE_MS)
    const idle = residentOf(mine.pid)
    const before = sampleOf({}, start, bed.read())
    resetPeak(mine.pid)
    mine.letLoose()
    const load = await runLoad(bed, { entries: [mine.entry], sinkPort }, { ...fetches, seconds })
    const { mibS: sentMibS = 0, servedMibS: receivedMibS = 0 } = load
    if (receivedMibS === 0) throw new DiedError(`the stand-in fetched nothing${bed.lastWords()}`)
    return {
      residentMib: idle.residentBytes / 2 ** 20,
      peakMib: residentOf(mine.pid).peakBytes / 2 ** 20,
      startedMs: mine.startedMs,
      firstMs,
      sentMibS,
      receivedMibS,
      stealCores: load.stealCores ?? Number.NaN,
      [NOISE]: noiseOf(before, load),
    }
  } finally {
    await mine.close()
  }
}

async function startOne(
  options: OursOptions,
  bed: Testbed,
  compileCache: string,
): Promise<{ readonly mine: ShimFunction; readonly sinkPort: number }> {
  const world = await startWorld(bed, { ...options, scheme: 'unix', isBuilt: true })
  const sinkPort = await bed.port()
  const loadWords = argumentsOf({ ...fetches, warmupS: 0, seconds: FOREVER_S })
  const mine = await startShim(bed, world, { root: options.root ?? root, sinkPort, compileCache, loadWords })
  return { mine, sinkPort }
}

/** How long it took to start, ms. Its end leaves the cache filled. */
async function startAndEnd(options: OursOptions, bed: Testbed, compileCache: string): Promise<number> {
  try {
    const { mine } = await startOne(options, bed, compileCache)
    await mine.close()
    return mine.startedMs
  } finally {
    await bed.close()
  }
}
