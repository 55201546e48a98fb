/**
 * The usual way in: one IPv4 listener per port on all addresses. Whoever dials
 * 127.64.x.y:port lands here, and the accepted socket's local address says which peer was
 * meant: no listener and no descriptor per peer. The JVM beside us is bound to [::1]:port, so
 * the same port number is free for IPv4. Used by lane.ts.
 */
import type { Server } from 'node:net'
import { closeServers, type Gate } from './gate.ts'

export interface Listeners {
  /** How many are open: descriptors. */
  readonly count: number
  /** Stops accepting. Connections live on. */
  close(): void
}

/** Listens on 0.0.0.0 at each port. All or none. Throws TunnelError. */
export async function listenWildcard(gate: Gate, ports: readonly number[]): Promise<Listeners> {
  const servers: Server[] = []
  try {
    for (const port of ports) servers.push(await gate.listen('0.0.0.0', port))
  } catch (error) {
    closeServers(servers)
    throw error
  }
  return { count: servers.length, close: () => closeServers(servers) }
}
