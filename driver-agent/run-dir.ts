/**
 * The private folder of one running agent: secrets, sockets, generated settings. Its
 * `live.sock` tells whether the agent still runs (a process id would not: containers that
 * share /tmp have their own), so the next start removes what a killed agent left.
 * Used by session.ts and by `agent --stop`.
 */
import { randomBytes } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { makePrivate, ourFolders } from './private-folder.ts'

/** Logs of runs that failed are kept this long. */
const KEPT_LOGS_MS = 7 * 24 * 3_600_000
/** A folder younger than this may belong to an agent that has not opened its socket yet. */
const SETTLING_MS = 10_000

/** What another process of the same user may ask a running agent. */
export type Errand = 'stop'

/** The answer of an agent that does its errand; its end follows. */
const TAKEN = 'taken\n'

export interface RunDir {
  readonly path: string
  /** Removes the folder and all in it. */
  remove(): Promise<void>
}

/**
 * Where this user's run folders are: $XDG_RUNTIME_DIR where that can be written (after `su`, or
 * in a container, it often names a folder that is not there), else the temporary folder. Short:
 * a socket's path has at most 107 bytes.
 */
export function runDirBase(environment: NodeJS.ProcessEnv = process.env): string {
  const parent = environment.XDG_RUNTIME_DIR ?? ''
  const isGood = parent.length > 0 && parent.length < 60 && canWrite(parent)
  return isGood ? join(parent, 'spark-lambda-relay') : logsBase()
}

function canWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Makes a folder (0700) below `base`, after removing those whose agent is gone. `onErrand` is called for
 * each errand that comes over its socket, from its first moment on; without it errands are refused.
 * `logs`: where logs of runs are. Throws AgentError `setup` when one of the two is not ours.
 */
export async function createRunDir(
  onErrand?: (errand: Errand) => void,
  base: string = runDirBase(),
  logs: string = logsBase(),
): Promise<RunDir> {
  // Also where nothing is left over: logs of this run are written there, and removed by session and guardian.
  await makePrivate(logs, 'TMPDIR')
  await makePrivate(base, 'XDG_RUNTIME_DIR')
  await removeLeftOvers(base, logs)
  const path = join(base, `run-${randomBytes(6).toString('hex')}`)
  await mkdir(path, { mode: 0o700 })
  const server = await listen(join(path, 'live.sock'), (errand) => {
    onErrand?.(errand)
    return onErrand !== undefined
  })
  return {
    path,
    async remove() {
      server.close()
      await rm(path, { recursive: true, force: true })
    },
  }
}

/**
 * Where executors' logs of the run in `path` go: on disk, since $XDG_RUNTIME_DIR is memory. The
 * folder outlives the run when that failed.
 */
export function logsDirOf(path: string): string {
  return join(logsBase(), basename(path).replace(/^run-/, 'logs-'))
}

function logsBase(): string {
  return join(tmpdir(), `spark-lambda-relay-${process.getuid?.() ?? 0}`)
}

/**
 * Removes every run folder whose agent no longer answers, and old logs; returns how many run folders.
 * What is not ours and private stays: in a shared /tmp somebody else could have made it, and put a link
 * to files of ours in the place of what is about to be removed.
 */
export async function removeLeftOvers(base: string, logs: string = logsBase()): Promise<number> {
  let removed = 0
  for (const path of await ourFolders(logs, 'logs-')) {
    if ((await ageOf(path)) > KEPT_LOGS_MS) await rm(path, { recursive: true, force: true })
  }
  for (const path of await ourFolders(base, 'run-')) {
    if (await isLive(path)) continue
    const settling = (await ageOf(path)) < SETTLING_MS && !(await exists(join(path, 'live.sock')))
    if (settling) continue
    await rm(path, { recursive: true, force: true })
    removed += 1
  }
  return removed
}

/** Run folders whose agent answers. */
export async function liveRunDirs(base: string = runDirBase()): Promise<string[]> {
  const live: string[] = []
  for (const path of await ourFolders(base, 'run-')) if (await isLive(path)) live.push(path)
  return live
}

/**
 * Hands `errand` to the agent of `path`, and resolves when that agent has closed the socket: true, it took
 * the errand and is gone; false, it refused.
 */
export function sendErrand(path: string, errand: Errand): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let said = ''
    const socket = createConnection(join(path, 'live.sock'), () => socket.write(`${errand}\n`))
    socket.once('error', reject)
    socket.once('close', () => resolve(said === TAKEN))
    socket.on('data', (bytes) => {
      said += bytes.toString('latin1')
    })
  })
}

/** ms since it was changed; without it, since 1970. */
async function ageOf(path: string): Promise<number> {
  return Date.now() - ((await lstat(path).catch(() => undefined))?.mtimeMs ?? 0)
}

function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(join(path, 'live.sock'))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function listen(path: string, handle: (errand: Errand) => boolean): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      let line = ''
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        line += bytes.toString('latin1')
        if (line !== 'stop\n') {
          if (line.length > 16) socket.destroy()
        } else if (handle('stop')) socket.write(TAKEN)
        else socket.destroy()
      })
    })
    server.once('error', reject)
    // The socket answers "is it live"; it is no reason to stay.
    server.unref()
    server.listen(path, () => resolve(server))
  })
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}
