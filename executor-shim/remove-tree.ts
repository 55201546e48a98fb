/**
 * Removal of what executors wrote. Jobs unpack trees without the right to write (Go's module
 * cache, archives of read-only folders), which rm refuses to empty for anybody but root.
 * Used by shim.ts, and by driver-agent/local for what its functions leave.
 */
import { execFile } from 'node:child_process'
import { chmod, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A path may be as long as a path can be, and a message is for people. */
const SHOWN_CHARS = 300

/** Removes `path` and all in it; nothing there is no error. Rejects with what the file system says. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 2 })
  } catch (first) {
    try {
      if ((first as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return await removeDeep(path)
      // Which folder it was, the error need not say.
      await makeWritable(path)
      await rm(path, { recursive: true, force: true, maxRetries: 2 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return await removeDeep(path)
      const { message, code } = error as NodeJS.ErrnoException
      throw Object.assign(new Error(message.slice(0, SHOWN_CHARS)), { code })
    }
  }
}

/** Deeper than a path may be long: Node names everything from the root, these two go down step by step. */
async function removeDeep(path: string): Promise<void> {
  const run = promisify(execFile)
  await run('chmod', ['-R', 'u+rwx', '--', path]).catch(() => {})
  await run('rm', ['-rf', '--', path]).catch((error: Error) => {
    throw new Error(error.message.slice(0, SHOWN_CHARS))
  })
}

/** Folders only, links not followed. What is not ours stays as it is: rm then says so. */
async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => {})
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name))
  }
}
