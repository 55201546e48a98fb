/**
 * Removal of what executors wrote. Jobs unpack trees without the right to write (Go's module
 * cache, archives of read-only folders), which rm refuses to empty for anybody but root.
 * Used by provider.ts and run-folder.ts.
 */
import { chmod, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Removes `path` and all in it; nothing there is no error. Rejects with what the file system says. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 2 })
  } catch {
    // Which folder it was, the error need not say.
    await makeWritable(path)
    await rm(path, { recursive: true, force: true, maxRetries: 2 })
  }
}

/** Folders only, links not followed. What is not ours stays as it is: rm then says so. */
async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => {})
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name))
  }
}
