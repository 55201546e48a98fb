/**
 * One process with one or more endpoints, as a shim or the agent would have them, and nothing
 * else in it: so that its CPU time and memory are the endpoint's. Started by contestants/ours.ts
 * with a plan (EndpointPlan, JSON) as its argument, and SLR_SECRET in its environment. Writes
 * `{"attachedMs":…}` once all are attached.
 */
import { join } from 'node:path'
import type { EndpointPlan } from './plan.ts'
import { runEndpoints } from './start-endpoints.ts'

const plan = JSON.parse(process.argv[2] ?? '') as EndpointPlan
// The code under test may be that of another commit: `--against`.
const at = <T>(path: string): Promise<T> => import(join(plan.root, path)) as Promise<T>
const { startTunnel } = await at<typeof import('../../relay/loopback/index.ts')>('relay/loopback/index.ts')
const token = await at<typeof import('../../relay/token/index.ts')>('relay/token/index.ts')

await runEndpoints(plan, { startTunnel, token })
