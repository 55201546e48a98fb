/**
 * What the kernel says of processes: CPU time and resident memory, from /proc. Linux only.
 * Used by the testbed around each measured window.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: what /proc counts in. 100 on every Linux that Node runs on (the kernel's ABI). */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

interface ProcessRow {
  readonly parent: number
  /** User and system time, with that of children that have ended, s. All threads are in it. */
  readonly cpuS: number
  readonly residentBytes: number
}

export interface Usage {
  readonly cpuS: number
  readonly residentBytes: number
  /** Calls of read() and write() in all their forms, as the kernel counts them; 0 where it will not say. */
  readonly readCalls: number
  readonly writeCalls: number
}

/** One line of /proc/PID/stat. Pure. The command may hold blanks and brackets, so fields count from the last `)`. */
export function parseStat(line: string): ProcessRow {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const field = (at: number): number => Number(fields[at])
  return {
    parent: field(1),
    cpuS: (field(11) + field(12) + field(13) + field(14)) / TICKS_PER_SECOND,
    residentBytes: field(21) * PAGE_BYTES,
  }
}

/** Every process of the machine. */
export function readProcessTable(): Map<number, ProcessRow> {
  const table = new Map<number, ProcessRow>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      table.set(Number(name), parseStat(readFileSync(`/proc/${name}/stat`, 'latin1')))
    } catch {
      // It has ended since.
    }
  }
  return table
}

function ioCalls(pid: number): Pick<Usage, 'readCalls' | 'writeCalls'> {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'latin1')
    const number = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0)
    return { readCalls: number('syscr'), writeCalls: number('syscw') }
  } catch {
    return { readCalls: 0, writeCalls: 0 } // it has ended, or is another user's
  }
}

/** Sum over these processes and all below them. `readCallsOf`: pure in tests. */
export function usageOfTrees(
  table: ReadonlyMap<number, ProcessRow>,
  roots: readonly number[],
  readCallsOf: (pid: number) => Pick<Usage, 'readCalls' | 'writeCalls'> = ioCalls,
): Usage {
  const children = new Map<number, number[]>()
  for (const [pid, { parent }] of table) {
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [pid])
    else siblings.push(pid)
  }
  let cpuS = 0
  let residentBytes = 0
  let readCalls = 0
  let writeCalls = 0
  const queue = [...roots]
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    const row = table.get(pid)
    if (row === undefined) continue
    cpuS += row.cpuS
    residentBytes += row.residentBytes
    const calls = readCallsOf(pid)
    readCalls += calls.readCalls
    writeCalls += calls.writeCalls
    queue.push(...(children.get(pid) ?? []))
  }
  return { cpuS, residentBytes, readCalls, writeCalls }
}

/** CPU seconds that all cores have been busy with since the machine began. */
export function machineBusyS(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] as string
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number)
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}
