/**
 * The folder that holds the functions' folders of one provider, and the removal of what
 * earlier providers left when they were killed. Used by provider.ts.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { removeTree } from '../../executor-shim/remove-tree.ts'
import { AgentError } from '../errors.ts'
import { processRow } from './process-table.ts'

const PREFIX = 'local-'
const MARKER = 'owner.json'
/** A folder without a marker may be about to get one. */
const SETTLING_MS = 10_000

/** Whose folder it is. A pid means something only in its pid namespace, and until the next boot. */
export interface Owner {
  readonly pid: number
  readonly startTicks: number
  readonly boot: string
  readonly pidNamespace: string
}

/** Makes a folder (0700) for this process below `workRoot`. Throws AgentError `setup`. */
export function makeRunFolder(workRoot: string): string {
  try {
    mkdirSync(workRoot, { recursive: true, mode: 0o700 })
    const entry = lstatSync(workRoot)
    // Somebody else could have made it first, in a shared /tmp, and read what executors write.
    if (!entry.isDirectory() || entry.uid !== process.getuid?.()) {
      throw new Error('it belongs to another user')
    }
    chmodSync(workRoot, 0o700)
    const folder = mkdtempSync(join(workRoot, PREFIX))
    writeFileSync(join(folder, MARKER), JSON.stringify(thisProcess()), { mode: 0o600 })
    return folder
  } catch (error) {
    throw new AgentError(
      'setup',
      `${workRoot} cannot hold the executors' work folders: ${(error as Error).message}; set TMPDIR to a folder of your own`,
      { cause: error },
    )
  }
}

/** Removes the run folders below `workRoot` whose owner is gone; how many. `stays`: one cannot be removed. */
export async function removeLeftOvers(
  workRoot: string,
  stays: (folder: string, error: Error) => void = () => {},
): Promise<number> {
  let removed = 0
  const here = thisProcess()
  for (const name of readdirSync(workRoot)) {
    if (!name.startsWith(PREFIX)) continue
    const folder = join(workRoot, name)
    const owner = readOwner(folder)
    if (owner === undefined ? isSettling(folder) : !isGone(owner, here, processRow(owner.pid)?.startTicks))
      continue
    await removeTree(folder).then(
      () => removed++,
      (error: Error) => stays(folder, error), // something below is not ours; the next start tries again
    )
  }
  return removed
}

/** Whether `owner` has ended, seen from `here`, where its pid now belongs to a process that began at `startTicks`. */
export function isGone(owner: Owner, here: Owner, startTicks: number | undefined): boolean {
  if (owner.boot !== here.boot) return true
  if (owner.pidNamespace !== here.pidNamespace) return false // cannot be known from here
  return startTicks !== owner.startTicks
}

function thisProcess(): Owner {
  return {
    pid: process.pid,
    startTicks: processRow(process.pid)?.startTicks ?? 0,
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
  }
}

function readOwner(folder: string): Owner | undefined {
  try {
    const owner = JSON.parse(readFileSync(join(folder, MARKER), 'utf8')) as Partial<Owner>
    return typeof owner.pid === 'number' ? (owner as Owner) : undefined
  } catch {
    return undefined
  }
}

function isSettling(folder: string): boolean {
  try {
    return Date.now() - lstatSync(folder).mtimeMs < SETTLING_MS
  } catch {
    return true
  }
}
