/**
 * Runs schedules until one fails, which fast-check then makes as small as it can. Used by the
 * sim tests. `SLR_SIM_SCHEDULES`: how many in all, over all tests (default 100,000 in CI, 4,000
 * elsewhere). `SLR_SIM_SEED`: to repeat a run; it is printed each time.
 */
import fc from 'fast-check'
import type { Plan } from './plan.ts'
import { runPlan } from './run-plan.ts'

export const total = Number(process.env.SLR_SIM_SCHEDULES ?? (process.env.CI === undefined ? 4_000 : 100_000))
const seed = Number(process.env.SLR_SIM_SEED ?? Date.now() % 0x7fff_ffff)
/** Drawn at once: fast-check keeps a little of each run until the end. */
const BATCH = 10_000
/** How often a long run says how far it is, ms. */
const SAY_MS = 60_000

/** How long a test of `share` may take, ms: a hundred times what it needs. */
export function patienceMs(share: number): number {
  return 120_000 + total * share * 100
}

/** `share`: part of all schedules, 0 to 1. */
export async function holdSchedules(name: string, plans: fc.Arbitrary<Plan>, share: number): Promise<void> {
  const runs = Math.ceil(total * share)
  process.stdout.write(`${name}: SLR_SIM_SEED=${seed}, ${runs} schedules\n`)
  const began = process.cpuUsage()
  let streams = 0
  let closed = 0
  let saidMs = performance.now()
  const traces = Error.stackTraceLimit
  Error.stackTraceLimit = 0 // violations and refusals are made by the thousand
  try {
    for (let done = 0; done < runs; done += BATCH) {
      await fc.assert(
        fc.asyncProperty(plans, async (plan) => {
          const result = await runPlan(plan)
          streams += result.conversations
          closed += result.closed
        }),
        { seed: seed + done, numRuns: Math.min(BATCH, runs - done) },
      )
      if (performance.now() - saidMs < SAY_MS) continue
      saidMs = performance.now()
      process.stdout.write(`${name}: ${Math.min(done + BATCH, runs)} of ${runs} schedules\n`)
    }
  } finally {
    Error.stackTraceLimit = traces
  }
  const { user, system } = process.cpuUsage(began)
  const perRun = ((user + system) / 1_000 / runs).toFixed(2)
  process.stdout.write(
    `${name}: ${streams} streams, ${closed} ended with all their bytes, ${perRun} ms of CPU a schedule\n`,
  )
}
