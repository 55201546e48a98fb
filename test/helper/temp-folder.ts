/** Folders of a test or a script that are removed by it, or at the latest when its process ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempFolder {
  readonly path: string
  /** Idempotent. */
  remove(): void
}

const folders = new Set<string>()
process.once('exit', () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true })
})

/** `prefix`: how its name begins. A signal that ends the process without its `exit` leaves it, and so does `isKept`. */
export function makeTempFolder(prefix: string, isKept = false): TempFolder {
  const path = mkdtempSync(join(tmpdir(), prefix))
  if (isKept) return { path, remove: () => {} }
  folders.add(path)
  return {
    path,
    remove: () => {
      folders.delete(path)
      rmSync(path, { recursive: true, force: true })
    },
  }
}
