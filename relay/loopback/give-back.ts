/**
 * Gives back what the start of a thread has left: V8 keeps the space in which modules were compiled and set up, and
 * collects nothing of it while a thread is idle. Used by bulk-worker.ts and by executor-shim/shim.ts, once a thread.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** After the start, which it would make longer, and before a JVM that begins then has much to say. */
const SETTLED_MS = 1_000

/** Takes the thread about 25 ms, a second from now: of a shim's 82 MiB 8 are gone. */
export function giveBackOnceSettled(): void {
  setTimeout(giveBack, SETTLED_MS).unref()
}

/**
 * V8's answer to a machine that is out of memory: it collects until nothing more is found, moves together what is left
 * and returns empty pages. After a plain collection all of them stayed. It has to be asked by the name of a flag, for
 * Node has no call for it; where a later Node knows neither, all stays as it was.
 */
function giveBack(): void {
  setFlagsFromString('--expose-gc') // counts for contexts that are made from now on, and for both threads
  const collect = runInNewContext('globalThis.gc') as NodeJS.GCFunction | undefined
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
