/**
 * One process with one or more endpoints, as a shim or the agent would have them, and nothing
 * else in it: so that its CPU time and memory are the endpoint's. Started by contestants/ours.ts
 * with a plan (EndpointPlan, JSON) as its argument, and SLR_SECRET in its environment. Writes
 * `{"attachedMs":…}` once all are attached.
 */
import { join } from 'node:path'
import type { TunnelOptions } from '../../relay/loopback/index.ts'
import type { EndpointPlan } from './plan.ts'

const plan = JSON.parse(process.argv[2] ?? '') as EndpointPlan
// The code under test may be that of another commit: `--against`.
const at = <T>(path: string): Promise<T> => import(join(plan.root, path)) as Promise<T>
const { startTunnel } = await at<typeof import('../../relay/loopback/index.ts')>('relay/loopback/index.ts')
const token = await at<typeof import('../../relay/token/index.ts')>('relay/token/index.ts')
const { pino } = await import('pino')

const ring = await token.KeyRing.open({ text: process.env.SLR_SECRET })
const key = ring.signer(plan.app)
const logger = pino({ level: 'warn' }, pino.destination({ fd: 2, sync: true }))

const tunnels = await Promise.all(plan.endpoints.map(start))
process.stdout.write(`${JSON.stringify({ attachedMs: performance.now() })}\n`)

// SIGTERM: leaves at once. What is under way is the bench's own.
process.once('SIGTERM', () => process.exit(0))
// Whoever started us is gone.
process.stdin.once('end', () => process.exit(0)).resume()
await Promise.all(tunnels.map((tunnel) => tunnel.ended))

async function start(endpoint: EndpointPlan['endpoints'][number]) {
  const options: TunnelOptions = {
    app: plan.app,
    address: endpoint.address,
    token: () =>
      token.signToken(key, {
        app: plan.app,
        addr: endpoint.address,
        gen: 1,
        role: 'executor',
        exp: token.expiryIn(3_600_000),
      }),
    relays: endpoint.relays,
    dials: endpoint.dials,
    serves: endpoint.serves.map(({ port, to }) => ({ port, target: { host: '127.0.0.1', port: to } })),
    // As in a function, where the network namespace has loopback only and the check is off.
    checkUid: false,
    bulkThread: endpoint.bulkThread,
    ...(plan.tlsCaFile === undefined ? {} : { tlsCaFile: plan.tlsCaFile }),
    ...(endpoint.limits === undefined ? {} : { endpoint: endpoint.limits }),
    logger,
  }
  return startTunnel(options)
}
