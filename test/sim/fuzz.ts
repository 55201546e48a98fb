/**
 * Runs many plans and prints each kind of failure once, with a plan for replay.ts:
 * `node test/sim/fuzz.ts gentle|rough|homes|rough-homes [plans] [seed]`. For people.
 */
import fc from 'fast-check'
import { planKinds } from './plan.ts'
import { runPlan } from './run-plan.ts'

const [, , kind = 'gentle', count = '1000', seed = '1'] = process.argv
const arbitrary = planKinds[kind as keyof typeof planKinds]
if (arbitrary === undefined)
  throw new RangeError(`${kind} must be one of ${Object.keys(planKinds).join(', ')}`)
const failures = new Map<string, number>()
let events = 0
let slowestMs = 0
let slowest = ''
const began = process.cpuUsage()
Error.stackTraceLimit = 3
for (const plan of fc.sample(arbitrary, { seed: Number(seed), numRuns: Number(count) })) {
  const planBegan = performance.now()
  try {
    events += (await runPlan(plan)).events
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const name = message.replace(/127\.64\.\d+\.\d+(\/\w+)?/g, 'A').replace(/\d+/g, 'N')
    if (!failures.has(name)) console.log(`${message}\n${JSON.stringify(plan)}`)
    failures.set(name, (failures.get(name) ?? 0) + 1)
  }
  const tookMs = performance.now() - planBegan
  if (tookMs > slowestMs) {
    slowestMs = tookMs
    slowest = JSON.stringify(plan)
  }
}
const { user, system } = process.cpuUsage(began)
const perPlan = (user + system) / 1_000 / Number(count)
console.log(
  `${kind} ${seed}: ${perPlan.toFixed(2)} ms of CPU and ${(events / Number(count)).toFixed(0)} events a plan`,
)
console.log(`slowest ${slowestMs.toFixed(0)} ms${slowestMs > 1_000 ? `: ${slowest}` : ''}`)
for (const [name, times] of failures) console.log(`${times} x ${name}`)
process.exit(failures.size === 0 ? 0 : 1)
