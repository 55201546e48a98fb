/** Which of this machine's folders functions must see, and which they must not. Used by provider.ts. */
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { contains, type Mark } from './visibility.ts'

const MIB = 1024 * 1024

/** Folders where programs of this machine leave sockets and files for each other. */
export function sharedFolders(): readonly Mark[] {
  return [
    ...mark('/var/tmp', 'hide', { mode: '1777', bytes: 16 * MIB }),
    ...mark('/dev/shm', 'hide', { mode: '1777', bytes: 64 * MIB }),
    ...mark('/run', 'hide'),
    ...mark('/run/current-system', 'keep'), // NixOS: every program
  ]
}

/** A mark for `path` if it exists: its real path, and its kind. */
export function mark(path: string, is: Mark['is'], empty?: Mark['empty']): readonly Mark[] {
  if (!isAbsolute(path) || !existsSync(path)) return []
  const real = realpathSync(path)
  const kind = lstatSync(real).isDirectory() ? ('folder' as const) : ('file' as const)
  return [{ path: real, is, kind, ...(empty === undefined ? {} : { empty }) }]
}

/**
 * What functions must see of a relay's Unix socket. A relay that is started again makes a new
 * socket, which a mount of the old file would never show: so it is the folder, if nothing else
 * lies in it, and else the file.
 */
export function socketPlace(socket: string): string {
  const folder = dirname(socket)
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.every((name) => name === basename(socket)) ? folder : socket
}

/** The package around each file of a command: it imports its neighbours. */
export function commandFolders(command: readonly string[]): readonly string[] {
  return command
    .filter((word) => isAbsolute(word) && existsSync(word))
    .map((word) => packageRoot(realpathSync(word)))
}

/** Where programs come from: each folder of PATH, the prefix that it is the bin/ of, and the homes of Java and Python. */
export function programFolders(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const folders: string[] = []
  for (const folder of (environment.PATH ?? '').split(':')) {
    if (!isAbsolute(folder)) continue
    folders.push(folder, ...(folder.endsWith('/bin') ? [dirname(folder)] : []))
  }
  for (const name of ['JAVA_HOME', 'PYENV_ROOT', 'CONDA_PREFIX', 'VIRTUAL_ENV']) {
    const home = environment[name]
    if (home !== undefined && home !== '') folders.push(home)
  }
  for (const name of ['PYSPARK_PYTHON', 'PYSPARK_DRIVER_PYTHON']) {
    const program = environment[name]
    if (program !== undefined && isAbsolute(program)) folders.push(dirname(dirname(program)))
  }
  return folders
}

/** Whether hiding `folder` would take something else away that functions or users need: it is then left in sight. */
export function isTooWide(folder: string, needed: readonly string[]): boolean {
  return needed.some((path) => path === folder || contains(folder, path))
}

function packageRoot(file: string): string {
  for (let folder = dirname(file); folder !== '/'; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
  }
  return dirname(file)
}
