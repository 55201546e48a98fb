/**
 * Processes below another, as /proc shows them: executors, shims, relays of one submit. For
 * test/spark/ only; Linux.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly parent: number
  /** Clock ticks since boot: tells it from a later process with its number. */
  readonly started: number
  readonly command: string
}

/** All that run now; zombies excepted. */
export function processes(): Process[] {
  const found: Process[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z') continue
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      found.push({ pid, parent: Number(fields[1]), started: Number(fields[19]), command })
    } catch {
      // Ended meanwhile.
    }
  }
  return found
}

/** All below `pid`, itself excepted. */
export function descendants(pid: number): Process[] {
  const all = processes()
  const found = new Map<number, Process>()
  const reach = (parent: number): void => {
    for (const child of all) {
      if (child.parent !== parent || found.has(child.pid)) continue
      found.set(child.pid, child)
      reach(child.pid)
    }
  }
  reach(pid)
  return [...found.values()]
}

/** Those of `given` that still run. */
export function survivors(given: readonly Process[]): Process[] {
  const now = new Map(processes().map((one) => [one.pid, one.started]))
  return given.filter((one) => now.get(one.pid) === one.started)
}

const kinds = {
  relay: / relay --listen /,
  shim: /^\S*node\S* .* shim( |$)/,
  executor: /org\.apache\.spark\.scheduler\.cluster\.k8s\.KubernetesExecutorBackend/,
  driver: /org\.apache\.spark\.deploy\.SparkSubmit/,
} as const
export type Kind = keyof typeof kinds

/** Those of one kind below `pid`. */
export function ofKind(pid: number, kind: Kind): Process[] {
  return descendants(pid).filter((one) => kinds[kind].test(one.command))
}

/** Waits until `check` holds, looking each 50 ms. Rejects after `withinMs`, naming `what`. */
export async function until(what: string, check: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
