/**
 * How the agent starts what must not outlive it. Used by inner-relay.ts and submit.ts.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

let setpriv: string | undefined | null = null

/**
 * The argument list that starts `command` so that the kernel kills it when this process
 * dies (util-linux `setpriv --pdeathsig`); `command` itself where there is no setpriv.
 * The setting survives exec, so it also holds for the JVM that bin/spark-submit becomes.
 */
export function diesWithUs(command: readonly string[]): string[] {
  if (setpriv === null) setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined
  return setpriv === undefined ? [...command] : [setpriv, '--pdeathsig', 'KILL', '--', ...command]
}

/** Full path of `name` on PATH, or undefined. */
export function findProgram(name: string, path: string = process.env.PATH ?? ''): string | undefined {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue
    const candidate = join(folder, name)
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // Not here.
    }
  }
  return undefined
}
