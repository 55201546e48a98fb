/**
 * Whose end is the agent's end too. `eval "$(… agent --print-env)"` runs the command below a
 * subshell, npx and the like, which all end at once; the shell that goes on is the nearest
 * ancestor that is still there a moment later. Used by agent.ts; needs /proc.
 */
import { readFileSync } from 'node:fs'

export interface ProcessName {
  readonly pid: number
  /** Start time in clock ticks since boot: tells a process from a later one with its number. */
  readonly started: number
}

const SETTLE_MS = 2_000
const LOOK_EACH_MS = 500

/** This process's ancestors, nearest first; without init. Empty without /proc. */
export function ancestors(): ProcessName[] {
  const found: ProcessName[] = []
  let pid = process.ppid
  while (pid > 1) {
    const stat = readStat(pid)
    if (stat === undefined) break
    found.push({ pid, started: stat.started })
    pid = stat.parent
  }
  return found
}

export function formatOwners(owners: readonly ProcessName[]): string {
  return owners.map(({ pid, started }) => `${pid}:${started}`).join(',')
}

export function parseOwners(text: string): ProcessName[] {
  return text.split(',').map((part) => {
    const [pid, started] = part.split(':').map(Number)
    return { pid: pid ?? 0, started: started ?? 0 }
  })
}

/** Whether it runs; a zombie does not. */
export function isAlive(name: ProcessName): boolean {
  const stat = readStat(name.pid)
  return stat !== undefined && stat.started === name.started && stat.state !== 'Z' && stat.state !== 'X'
}

/** Settles when the nearest of `candidates` that lives on has ended. */
export async function ownerGone(candidates: readonly ProcessName[]): Promise<void> {
  await pause(SETTLE_MS)
  const owner = candidates.find(isAlive)
  if (owner === undefined) return
  while (isAlive(owner)) await pause(LOOK_EACH_MS)
}

function readStat(pid: number): { parent: number; started: number; state: string } | undefined {
  try {
    // The second field, the program's name, may hold spaces and brackets.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', parent: Number(fields[1]), started: Number(fields[19]) }
  } catch {
    return undefined
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
