/**
 * Looks around from inside a function and writes what it found to descriptor 3, as JSON.
 * Arguments: addresses `host:port` to connect to, or paths of Unix sockets.
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Namespaces, namespacesOf } from './namespaces.ts'

export interface Sight {
  /** Names in /proc/net/dev. */
  readonly interfaces: readonly string[]
  readonly loopback: readonly string[]
  /** `connected`, or the error's code, and after how many ms. */
  readonly connects: Readonly<Record<string, { readonly outcome: string; readonly ms: number }>>
  /** Whether two local sockets meet at 127.64.0.2. */
  readonly loopbackWorks: boolean
  readonly tmp: readonly string[]
  readonly processes: number
  readonly environment: readonly string[]
  readonly effectiveCapabilities: string
  readonly namespaces: Namespaces
  /** Files by which a machine is set up that could be opened for writing; nothing was written. */
  readonly machineWritable: readonly string[]
}

const machineFiles = [
  '/proc/sys/kernel/core_pattern',
  '/proc/sys/vm/drop_caches',
  '/proc/sysrq-trigger',
  '/sys/kernel/uevent_helper',
  '/sys/kernel/mm/transparent_hugepage/enabled',
  '/sys/fs/cgroup/cgroup.procs',
  '/sys/fs/cgroup/cgroup.subtree_control',
]

async function look(): Promise<Sight> {
  const connects: Record<string, { outcome: string; ms: number }> = {}
  for (const target of process.argv.slice(2)) {
    const since = performance.now()
    const outcome = await connect(target)
    connects[target] = { outcome, ms: performance.now() - since }
  }
  return {
    interfaces: [...readFileSync('/proc/net/dev', 'latin1').matchAll(/^\s*(\S+):/gm)].map(
      ([, name]) => name ?? '',
    ),
    loopback: Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
    connects,
    loopbackWorks: await meetsItself(),
    tmp: readdirSync('/tmp'),
    processes: readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length,
    environment: Object.keys(process.env),
    effectiveCapabilities: /^CapEff:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '',
    namespaces: namespacesOf('self'),
    machineWritable: machineFiles.filter(canBeWritten),
  }
}

function canBeWritten(path: string): boolean {
  try {
    closeSync(openSync(path, 'r+'))
    return true
  } catch {
    return false
  }
}

function connect(target: string): Promise<string> {
  const at = target.lastIndexOf(':')
  const socket = target.startsWith('/')
    ? createConnection(target)
    : createConnection(Number(target.slice(at + 1)), target.slice(0, at))
  socket.setTimeout(3000)
  return new Promise<string>((resolve) => {
    socket.once('connect', () => resolve('connected'))
    socket.once('timeout', () => resolve('timeout'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  }).finally(() => socket.destroy())
}

async function meetsItself(): Promise<boolean> {
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(0, '127.64.0.2', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const outcome = await connect(`127.64.0.2:${port}`)
  server.close()
  return outcome === 'connected'
}

writeSync(3, `${JSON.stringify(await look())}\n`)
