/**
 * Binds the addresses on which a relay is reached. Unix sockets are for this user only; plain
 * TCP is for loopback only, unless it was asked for. Used by run.ts and tests.
 */
import { chmod, lstat, mkdir, stat, unlink } from 'node:fs/promises'
import net from 'node:net'
import { dirname, resolve as resolvePath } from 'node:path'
import type { Front } from './front.ts'

/** An address as the command line reads it. */
export type ListenAddress =
  | { readonly is: 'tcp'; readonly host: string; readonly port: number }
  | { readonly is: 'unix'; readonly path: string }

/** Cannot listen: the sentence names the option and how to mend it. Ends the command with 2. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: 'in-use' | 'not-allowed' | 'no-address' | 'folder' | 'plain' | 'failed'
  readonly exitCode = 2

  constructor(code: ListenError['code'], sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.code = code
  }
}

export interface Listener {
  /** How an endpoint reaches it; the port is the one that was bound. */
  readonly url: string
  /** TCP port; undefined for a Unix socket. */
  readonly port: number | undefined
  /** Takes no more connections. Those that there are stay. */
  close(): Promise<void>
}

export interface ListenOptions {
  readonly front: Front
  readonly hasTls: boolean
  /** Plain TCP on other addresses than loopback: the network there is private. */
  readonly isPlainAllowed: boolean
  /** /metrics may be read on Unix sockets and loopback addresses. */
  readonly servesMetricsLocally: boolean
  /** Connections that the kernel keeps until they are accepted. Default 4096. */
  readonly backlog?: number
}

/** Rejects with ListenError. */
export async function listen(address: ListenAddress, options: ListenOptions): Promise<Listener> {
  const shown = address.is === 'unix' ? `unix:${address.path}` : `${bracketed(address.host)}:${address.port}`
  const isLocal = address.is === 'unix' || isLoopback(address.host)
  const isTlsDemanded = !isLocal && !options.isPlainAllowed
  const door = { isTlsDemanded, servesMetrics: isLocal && options.servesMetricsLocally }
  if (isTlsDemanded && !options.hasTls) {
    throw new ListenError(
      'plain',
      `--listen ${shown} can be reached from other machines: give --tls-cert and --tls-key, or --plain if the network is private`,
    )
  }
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
  server.on('connection', (socket) => options.front.handleConnection(socket, door))
  const backlog = options.backlog ?? 4096
  if (address.is === 'unix') await bindUnix(server, address.path, backlog)
  else await bind(server, { host: address.host, port: address.port, backlog }, shown)
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : undefined
  return {
    url: urlOf(address, port, options.hasTls),
    port,
    // Without waiting: the server would wait for its last connection.
    close: async () => {
      server.close()
    },
  }
}

/** 127.0.0.0/8, ::1, and the name for them. A name that merely resolves there is not trusted. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'))
}

function urlOf(address: ListenAddress, port: number | undefined, hasTls: boolean): string {
  if (address.is === 'unix') return `unix:${resolvePath(address.path)}`
  return `${hasTls ? 'tls' : 'tcp'}://${bracketed(address.host)}:${port}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function bind(server: net.Server, where: net.ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const handleError = (error: NodeJS.ErrnoException): void => reject(listenErrorOf(shown, error))
    server.once('error', handleError)
    server.listen(where, () => {
      server.off('error', handleError)
      // Accepting fails while descriptors are short; those that wait are taken later.
      server.on('error', () => {})
      resolve()
    })
  })
}

function listenErrorOf(shown: string, error: NodeJS.ErrnoException): ListenError {
  const cause = { cause: error }
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(
        'in-use',
        `--listen ${shown} is in use; choose another one, or end what listens there`,
        cause,
      )
    case 'EACCES':
    case 'EPERM':
      return new ListenError(
        'not-allowed',
        `--listen ${shown} is not allowed to this user; choose a port over 1023 or a folder of yours`,
        cause,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError('no-address', `--listen ${shown}: this machine has no such address`, cause)
    default:
      return new ListenError('failed', `--listen ${shown}: ${error.message}`, cause)
  }
}

/** Longest path of a Unix socket, bytes: sun_path without its final zero. */
const MAX_UNIX_PATH = 107

async function bindUnix(server: net.Server, path: string, backlog: number): Promise<void> {
  const shown = `unix:${path}`
  if (Buffer.byteLength(path) > MAX_UNIX_PATH) {
    throw new ListenError(
      'failed',
      `--listen ${shown} is longer than the ${MAX_UNIX_PATH} bytes that a socket's path may have`,
    )
  }
  await assertPrivateFolder(dirname(resolvePath(path)), shown)
  await removeStale(path, shown)
  // The mode counts from the first moment on, so that nobody slips in before a chmod().
  const before = process.umask(0o177)
  try {
    const bound = bind(server, { path, backlog }, shown) // binds at once, tells later
    process.umask(before)
    await bound
  } finally {
    process.umask(before)
  }
  await chmod(path, 0o600)
}

/** A folder in which others cannot put another socket in the place of ours. */
async function assertPrivateFolder(folder: string, shown: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw new ListenError(
      'folder',
      `--listen ${shown}: the folder ${folder} cannot be made (${cause.code})`,
      { cause },
    )
  })
  const { mode, uid } = await stat(folder)
  // Whoever owns it may write to it whatever its mode, and take our socket away though it is sticky.
  if (uid !== 0 && process.getuid !== undefined && uid !== process.getuid()) {
    throw new ListenError(
      'folder',
      `--listen ${shown}: the folder ${folder} belongs to another user (uid ${uid}), who could put another socket in its place; name a folder of yours`,
    )
  }
  const isOpenToOthers = (mode & 0o022) !== 0
  const isSticky = (mode & 0o1000) !== 0
  if (isOpenToOthers && !isSticky) {
    throw new ListenError(
      'folder',
      `--listen ${shown}: others may write to ${folder}; run: chmod go-w ${folder}`,
    )
  }
}

/** A socket file that nobody listens on is left over from a relay that was killed. */
async function removeStale(path: string, shown: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket())
    throw new ListenError('in-use', `--listen ${shown}: there is a file that is no socket; name another path`)
  if (await isAnswered(path))
    throw new ListenError('in-use', `--listen ${shown} is in use by another process`)
  await unlink(path)
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused means that nobody listens. Anything else (another user's) leaves it alone.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}
