/**
 * Files that hold a secret: read only when nobody else can. Used by whoever reads keys, tokens or passwords
 * of the user's; imports nothing, for a function that needs it needs little else of this room.
 */
import { open } from 'node:fs/promises'

export interface PrivateFileErrors {
  /** It cannot be opened or read. */
  unreadable(cause: NodeJS.ErrnoException): Error
  /** Others may read or write it. `mode`: as `0644`. */
  tooOpen(mode: string): Error
}

/** The text of `file`. Rejects with what `errors` makes of it. */
export async function readPrivateFile(file: string, errors: PrivateFileErrors): Promise<string> {
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw errors.unreadable(cause)
  })
  try {
    // Of the open handle, not the path: what is checked is what is read.
    const { mode } = await handle.stat()
    if ((mode & 0o077) !== 0) throw errors.tooOpen((mode & 0o777).toString(8).padStart(4, '0'))
    return await handle.readFile('utf8').catch((cause: NodeJS.ErrnoException) => {
      throw errors.unreadable(cause)
    })
  } finally {
    await handle.close()
  }
}
