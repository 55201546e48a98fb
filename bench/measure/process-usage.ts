/**
 * What the kernel says of processes: CPU time and resident memory, from /proc. Linux only.
 * Used by the testbed around each measured window.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** USER_HZ: what /proc counts in. 100 on every Linux that Node runs on (the kernel's ABI). */
export const TICKS_PER_SECOND = 100
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
  /**
   * The most that was resident since peaks were reset, or since the process began (VmHWM). Of several
   * processes the sum of their peaks, which need not have been at one time.
   */
  readonly peakBytes: number
  /** Calls of read() and write() in all their forms, as the kernel counts them; 0 where it will not say. */
  readonly readCalls: number
  readonly writeCalls: number
}

/** What is known of a process beside its row in the table. */
type Details = Pick<Usage, 'peakBytes' | 'readCalls' | 'writeCalls'>

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

/** Zeros where the kernel will not say: the process has ended, or is another user's. */
function readDetails(pid: number): Details {
  const io = readText(`/proc/${pid}/io`)
  const status = readText(`/proc/${pid}/status`)
  return {
    peakBytes: numberOf(status, 'VmHWM') * 1024,
    readCalls: numberOf(io, 'syscr'),
    writeCalls: numberOf(io, 'syscw'),
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** `NAME: 12 kB` or `NAME: 12`, in a file of such lines. */
function numberOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

/** Resident memory of one process without its children: now, and its peak since it was last reset. Bytes; 0: it has ended. */
export function residentOf(pid: number): Pick<Usage, 'residentBytes' | 'peakBytes'> {
  const status = readText(`/proc/${pid}/status`)
  return {
    residentBytes: numberOf(status, 'VmRSS') * 1024,
    peakBytes: numberOf(status, 'VmHWM') * 1024,
  }
}

/**
 * From here on the peak of a process is the most that it has resident from now on. Where the kernel
 * refuses, peaks are those since the process began: too high, never too low.
 */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5') // proc(5): resets VmHWM, and touches no page
  } catch {
    // It has ended, or is not ours to touch.
  }
}

/** These processes and all below them, those that there are. Pure. */
export function pidsOfTrees(
  table: ReadonlyMap<number, ProcessRow>,
  roots: readonly number[],
): readonly number[] {
  const children = new Map<number, number[]>()
  for (const [pid, { parent }] of table) {
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [pid])
    else siblings.push(pid)
  }
  const found: number[] = []
  const queue = [...roots]
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    if (!table.has(pid)) continue
    found.push(pid)
    queue.push(...(children.get(pid) ?? []))
  }
  return found
}

/** Sum over these processes and all below them. Pure but for `detailsOf`. */
export function usageOfTrees(
  table: ReadonlyMap<number, ProcessRow>,
  roots: readonly number[],
  detailsOf: (pid: number) => Details = readDetails,
): Usage {
  const sum = { cpuS: 0, residentBytes: 0, peakBytes: 0, readCalls: 0, writeCalls: 0 }
  for (const pid of pidsOfTrees(table, roots)) {
    const row = table.get(pid) as ProcessRow
    const details = detailsOf(pid)
    sum.cpuS += row.cpuS
    sum.residentBytes += row.residentBytes
    sum.peakBytes += details.peakBytes
    sum.readCalls += details.readCalls
    sum.writeCalls += details.writeCalls
  }
  return sum
}
