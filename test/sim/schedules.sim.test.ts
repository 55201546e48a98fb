import fc from 'fast-check'
import { describe, it } from 'vitest'
import { gentlePlans, type Plan, roughPlans } from './plan.ts'
import { runPlan } from './run-plan.ts'

const schedules = Number(process.env.SLR_SIM_SCHEDULES ?? 1_000)
const seed = Number(process.env.SLR_SIM_SEED ?? Date.now() % 0x7fff_ffff)

async function holds(plans: fc.Arbitrary<Plan>): Promise<void> {
  console.log(`SLR_SIM_SEED=${seed} SLR_SIM_SCHEDULES=${schedules}`)
  let events = 0
  const began = performance.now()
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      events += (await runPlan(plan)).events
    }),
    { seed, numRuns: schedules, endOnFailure: false },
  )
  const ms = performance.now() - began
  console.log(`${(ms / schedules).toFixed(2)} ms a schedule, ${(events / schedules).toFixed(0)} events`)
}

describe('any schedule', () => {
  it('of cuts, silences, stops and relay restarts costs no stream', () => holds(gentlePlans))
  it('of whatever can happen ends every stream, by all its bytes or a reset at both ends', () =>
    holds(roughPlans))
})
