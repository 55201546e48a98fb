/** Runs one plan, given as JSON, and prints what happened: `node test/sim/replay.ts '<plan>'`. For people. */
import type { Plan } from './plan.ts'
import { runPlan } from './run-plan.ts'

console.log(await runPlan(JSON.parse(process.argv[2] ?? '') as Plan, true))
