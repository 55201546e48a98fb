/**
 * Ports for one application, so that several jobs run side by side on a machine. Spark's
 * JVM binds them on [::1] and our listener on the IPv4 wildcard, so both must be free.
 * Used by session-parts.ts, and by prepare.ts and doctor before.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { SetupError } from './setup-error.ts'

/** Below every system's ephemeral range: an outgoing connection cannot take one meanwhile. */
const LOWEST = 10_000
const HIGHEST = 32_000
const TRIES = 200

/** Driver's RPC and blocks, executors' blocks, the facade, Spark's UI. */
export const PORTS_OF_A_SESSION = 5

/** `count` different ports (10000 to 32000) that are free now on 0.0.0.0 and, where there is one, on [::1]. Throws SetupError. */
export async function pickFreePorts(
  count: number,
  isFree: (port: number) => Promise<boolean> = isPortFree,
): Promise<number[]> {
  const picked = new Set<number>()
  for (let attempt = 0; attempt < TRIES && picked.size < count; attempt += 1) {
    const port = randomInt(LOWEST, HIGHEST)
    if (!picked.has(port) && (await isFree(port))) picked.add(port)
  }
  if (picked.size < count) {
    throw new SetupError(
      'ports',
      `no ${count} ports between ${LOWEST} and ${HIGHEST} can be bound on this machine; end what holds them (ss -ltnp), or lift what forbids it (sysctl net.ipv4.ip_unprivileged_port_start)`,
    )
  }
  return [...picked]
}

/** Whether `port` can be bound on the IPv4 wildcard and on [::1] (a machine without ::1 counts as free there). */
export async function isPortFree(port: number): Promise<boolean> {
  return (await canBind(port, '0.0.0.0')) && (await canBind(port, '::1'))
}

function canBind(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT'),
    )
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
