/**
 * One process with one or more endpoints, as a shim or the agent would have them, and nothing
 * else in it: so that its CPU time and memory are the endpoint's. Started by contestants/ours.ts
 * with a plan (EndpointPlan, JSON) as its argument. Writes
 * `{"attachedMs":…}` once all are attached, and what control streams say if it is to.
 */
import { join } from 'node:path'
import type { EndpointPlan } from './plan.ts'
import { runEndpoints } from './start-endpoints.ts'

const plan = JSON.parse(process.argv[2] ?? '') as EndpointPlan
// The code under test may be that of another commit: `--against`.
const loopback: typeof import('../../relay/loopback/index.ts') = await import(
  join(plan.root, 'relay/loopback/index.ts')
)
await runEndpoints(plan, loopback.startTunnel)
