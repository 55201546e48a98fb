/** Starts the endpoints of a plan. Shared by the program that loads our code by path and the bundled one. */
import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import type { MessageChannel, Tunnel, TunnelOptions } from '../../relay/loopback/index.ts'
import type { EndpointPlan } from './plan.ts'

export type StartTunnel = typeof import('../../relay/loopback/index.ts').startTunnel

/** At once: more would wait in the relay's table of those that have not said who they are. */
const BATCH = 50

/** Lives until SIGTERM, the end of stdin, or the last tunnel is over. */
export async function runEndpoints(plan: EndpointPlan, startTunnel: StartTunnel): Promise<void> {
  const tokens = JSON.parse(readFileSync(plan.tokensFile, 'utf8')) as readonly string[]
  const logger = pino({ level: 'warn' }, pino.destination({ fd: 2, sync: true }))
  const start = (endpoint: EndpointPlan['endpoints'][number], at: number): Promise<Tunnel> => {
    const options: TunnelOptions = {
      app: plan.app,
      address: endpoint.address,
      token: () => tokens[at] as string,
      relays: endpoint.relays,
      dials: endpoint.dials,
      serves: endpoint.serves.map(({ port, to }) => ({ port, target: { host: '127.0.0.1', port: to } })),
      // As in a function, where the network namespace has loopback only and the check is off.
      checkUid: false,
      bulkThread: endpoint.bulkThread,
      ...(plan.tlsCaFile === undefined ? {} : { tlsCaFile: plan.tlsCaFile }),
      ...(endpoint.limits === undefined ? {} : { endpoint: endpoint.limits }),
      ...(plan.tellsControl ? { onControl: tellControl } : {}),
      logger,
    }
    return startTunnel(options)
  }
  // SIGTERM: leaves at once. What is under way is the bench's own.
  process.once('SIGTERM', () => process.exit(0))
  // Whoever started us is gone.
  process.stdin.once('end', () => process.exit(0)).resume()

  const tunnels: Tunnel[] = []
  for (let at = 0; at < plan.endpoints.length; at += BATCH) {
    tunnels.push(
      ...(await Promise.all(plan.endpoints.slice(at, at + BATCH).map((one, n) => start(one, at + n)))),
    )
  }
  process.stdout.write(`${JSON.stringify({ attachedMs: performance.now() })}\n`)
  await Promise.all(tunnels.map((tunnel) => tunnel.ended))
}

function tellControl(_peer: string, channel: MessageChannel): void {
  channel.onMessage((message) => process.stdout.write(`${JSON.stringify(message)}\n`))
  channel.onEnd(() => {}) // whoever is measured is ended by the bench
}
