/**
 * A relay elsewhere, for functions that have no network: a Unix socket each, whose connections
 * are carried to the relay's URL. Costs a copy of every byte; the relay inside a job needs
 * none. Used by session.ts.
 */
import { mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createPipeDialer } from '../../relay/pipe/dial.ts'
import type { Pausable, Pipe } from '../../relay/pipe/pipe.ts'
import { PREAMBLE } from '../../relay/wire/header.ts'

/** More than this waiting for one side, bytes, and the other is not read from. */
const PAUSE_ABOVE = 1024 * 1024
/** Of one relay: each running function has two links there. Each is two descriptors of the agent. */
const MAX_CONNECTIONS = 4_096
const DIAL_LIMIT_MS = 5_000
/** A function that reads nothing for so long loses its link; its relay has given it up long before. */
const STALLED_MS = 30_000

export interface UplinkBridge {
  /** What functions dial instead of each relay's URL. Unix sockets are not in it. */
  readonly detours: Readonly<Record<string, string>>
  close(): void
}

/**
 * `relays`: URLs of any scheme; those of Unix sockets stay as they are. `dir`: a private folder
 * for the others' sockets. `stalledMs`: for tests.
 */
export async function bridgeUplinks(
  relays: readonly string[],
  dir: string,
  tlsCaFile: string | undefined,
  logger: Logger,
  stalledMs = STALLED_MS,
): Promise<UplinkBridge> {
  const dialer = createPipeDialer(tlsCaFile === undefined ? {} : { tlsCaFile })
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  const detours: Record<string, string> = {}
  for (const [index, relay] of relays.entries()) {
    if (relay.startsWith('unix:')) continue
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      socket.on('error', () => {})
      dialer.dial(relay, AbortSignal.timeout(DIAL_LIMIT_MS)).then(
        (pipe) => carry(socket, pipe, stalledMs),
        (error: Error) => {
          // The function's endpoint dials again by itself.
          logger.debug({ relay, error: error.message }, 'a function’s uplink did not reach the relay')
          socket.destroy()
        },
      )
    })
    server.maxConnections = MAX_CONNECTIONS
    // A folder of its own: it is what functions see.
    const folder = join(dir, `bridge-${index}`)
    mkdirSync(folder, { mode: 0o700 })
    const path = join(folder, 'relay.sock')
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    server.unref()
    servers.push(server)
    detours[relay] = `unix:${path}`
  }
  return {
    detours,
    close() {
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Joins the two until one of them ends. The dialer has said the preamble; the function's own is left out. */
function carry(socket: Socket, pipe: Pipe & Pausable, stalledMs: number): void {
  if (socket.destroyed) {
    pipe.destroy()
    return
  }
  let stalled: NodeJS.Timeout | undefined
  const waitForFunction = (): void => {
    stalled ??= setTimeout(() => socket.destroy(), stalledMs).unref()
  }
  const goOn = (): void => {
    clearTimeout(stalled)
    stalled = undefined
    pipe.resume()
  }
  let toSkip = PREAMBLE.length
  pipe.start({
    data: (slab, start, end) => {
      // Copied, because the slab is read into again when this returns.
      socket.write(Buffer.from(slab.bytes.subarray(start, end)))
      if (socket.writableLength <= PAUSE_ABOVE) return
      pipe.pause()
      waitForFunction()
    },
    drained: () => socket.resume(),
    closed: () => {
      // Read on: paused, it would never hear the function's end, and keep its descriptor.
      socket.end().resume()
      waitForFunction()
    },
  })
  socket.on('data', (bytes) => {
    const skipped = Math.min(toSkip, bytes.length)
    toSkip -= skipped
    if (skipped < bytes.length) pipe.write(bytes.subarray(skipped))
    if (pipe.queuedBytes > PAUSE_ABOVE) socket.pause()
  })
  socket.on('drain', goOn)
  socket.once('close', () => {
    clearTimeout(stalled)
    pipe.end()
  })
  socket.resume()
}
