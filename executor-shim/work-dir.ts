/** Makes an executor's folders and writes the user's conf files. Used by shim.ts. */
import { chmodSync, mkdirSync, mkdtempSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ShimError } from './errors.ts'

/** The work folder, made if missing, closed to others (0700). Throws ShimError `environment`. */
export function makeWorkDir(wanted: string | undefined): string {
  try {
    if (wanted === undefined) return mkdtempSync(join(tmpdir(), 'spark-lambda-relay-'))
    mkdirSync(wanted, { recursive: true, mode: 0o700 })
    chmodSync(wanted, 0o700)
    return wanted
  } catch (error) {
    throw new ShimError(
      'environment',
      `--work-dir ${wanted ?? tmpdir()} cannot be written: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

/** Writes `files` (name → base64) below `workDir`, 0600; the folder's path, or undefined for none. */
export function writeConfDir(workDir: string, files: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(files)
  if (entries.length === 0) return undefined
  const folder = join(workDir, 'conf')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [name, base64] of entries) {
    if (name !== basename(name) || name === '' || name === '.' || name === '..') {
      throw new ShimError('payload', `confDir names a file ${JSON.stringify(name)}: names must be plain`)
    }
    writeFileSync(join(folder, name), Buffer.from(base64, 'base64'), { mode: 0o600 })
  }
  return folder
}

/** Size and use of the file system that holds `workDir`, in words. */
export function describeDisk(workDir: string): string {
  try {
    const { bsize, blocks, bavail } = statfsSync(workDir)
    const mib = (count: number) => `${Math.round((count * bsize) / 1024 / 1024)} MiB`
    return `${mib(bavail)} of ${mib(blocks)} free`
  } catch {
    return 'size unknown'
  }
}
