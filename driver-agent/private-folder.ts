/**
 * Folders at names that others can guess, in a /tmp that they share: somebody else may have made one
 * first, or left a link there to files of ours. What is not ours is neither read nor removed. Used by
 * run-dir.ts.
 */
import type { Stats } from 'node:fs'
import { chmod, lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AgentError } from './errors.ts'

/** Makes `folder` (0700) unless it is there. Throws AgentError `setup` when it is not ours. `variable`: what puts it elsewhere. */
export async function makePrivate(folder: string, variable: 'XDG_RUNTIME_DIR' | 'TMPDIR'): Promise<void> {
  const elsewhere = `set ${variable} to a folder of your own`
  const failure = await mkdir(folder, { recursive: true, mode: 0o700 }).then(
    () => undefined,
    (error: Error) => error,
  )
  const entry = await lstat(folder).catch(() => undefined)
  if (entry === undefined) {
    throw new AgentError('setup', `${folder} cannot be made (${failure?.message}); ${elsewhere}`, {
      cause: failure,
    })
  }
  if (!isOurs(entry)) {
    throw new AgentError(
      'setup',
      `${folder} is another user's folder, a link or a file; remove it, or ${elsewhere}`,
    )
  }
  await chmod(folder, 0o700)
}

/** Our own folders in `base` whose names begin with `prefix`; none where others may write or read. */
export async function ourFolders(base: string, prefix: string): Promise<string[]> {
  const folder = await lstat(base).catch(() => undefined)
  if (folder === undefined || !isOurs(folder) || (folder.mode & 0o077) !== 0) return []
  const found: string[] = []
  for (const name of await readdir(base).catch(() => [])) {
    if (!name.startsWith(prefix)) continue
    const path = join(base, name)
    // Others may have put something there while the folder was open to them.
    const entry = await lstat(path).catch(() => undefined)
    if (entry !== undefined && isOurs(entry)) found.push(path)
  }
  return found
}

/** Whether it is a folder of this user, and no link to one. */
function isOurs(entry: Stats): boolean {
  const uid = process.getuid?.()
  return entry.isDirectory() && (uid === undefined || entry.uid === uid)
}
