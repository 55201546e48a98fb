/** Where programs lie: first what install.sh has put below .cache/bench, then PATH. */
import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

export const root = join(import.meta.dirname, '../..')
export const cacheDir = join(root, '.cache/bench')

/** Makes round trips long. */
export const TOXIPROXY = 'toxiproxy-server'

export function findProgram(name: string): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined
  const folders = [join(cacheDir, 'bin'), ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** Those that are not there, each once. */
export function missingPrograms(names: readonly string[]): readonly string[] {
  return [...new Set(names)].filter((name) => findProgram(name) === undefined)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
