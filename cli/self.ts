/** How this program starts another of its own commands as a child. Rooms get it in their CommandContext. */
import { fileURLToPath } from 'node:url'

/** Program and arguments of `spark-lambda-relay <args>`: same Node, same files as are running now. */
export function selfCommand(args: readonly string[]): [string, ...string[]] {
  // In the package all our code lies in dist/, where cli/main.ts has become cli.js.
  const entry = import.meta.url.endsWith('.ts') ? './main.ts' : './cli.js'
  return [process.execPath, fileURLToPath(new URL(entry, import.meta.url)), ...args]
}
