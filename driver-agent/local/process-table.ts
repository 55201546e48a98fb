/** Who runs on this machine, out of /proc. Used by function.ts and sampler.ts, run-folder.ts. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessRow {
  readonly pid: number
  readonly parent: number
  /** Clock ticks after boot: with the pid it names a process for good. */
  readonly startTicks: number
  readonly residentBytes: number
}

/** All processes that can be seen now: none while this one has no descriptor left to look with. About 10 µs each. */
export function processTable(): readonly ProcessRow[] {
  const rows: ProcessRow[] = []
  for (const name of listProc()) {
    const first = name.charCodeAt(0)
    if (first < 48 || first > 57) continue
    const row = processRow(Number(name))
    if (row !== undefined) rows.push(row)
  }
  return rows
}

/** Called by timers: an EMFILE thrown there would end the agent, and the job with it. */
function listProc(): readonly string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

/** One process, or undefined when it is gone. A zombie counts as gone. */
export function processRow(pid: number): ProcessRow | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'), pageBytes())
  } catch {
    return undefined
  }
}

/** A /proc/PID/stat line. The name may hold spaces and parentheses: fields count from the last one. */
export function parseStat(line: string, bytesAPage: number): ProcessRow | undefined {
  const open = line.indexOf(' (')
  const close = line.lastIndexOf(') ')
  if (open === -1 || close === -1) return undefined
  const fields = line.slice(close + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return {
    pid: Number(line.slice(0, open)),
    parent: Number(fields[1]),
    startTicks: Number(fields[19]),
    residentBytes: Number(fields[21]) * bytesAPage,
  }
}

/** Answers a process of `table` and all that descend from it. One index for any number of roots. */
export function treesOf(table: readonly ProcessRow[]): (root: number) => readonly ProcessRow[] {
  const rows = new Map(table.map((row) => [row.pid, row]))
  const children = Map.groupBy(table, ({ parent }) => parent)
  return (root) => {
    const first = rows.get(root)
    if (first === undefined) return []
    const tree = [first]
    for (const row of tree) tree.push(...(children.get(row.pid) ?? []))
    return tree
  }
}

/** Memory of `pid` with shared pages divided among those who share them; undefined where it cannot be read. */
export function proportionalBytes(pid: number): number | undefined {
  try {
    const match = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    return match === null ? undefined : Number(match[1]) * 1024
  } catch {
    return undefined
  }
}

let knownPageBytes = 0

function pageBytes(): number {
  if (knownPageBytes === 0) knownPageBytes = pageBytesOf(readFileSync('/proc/self/auxv'))
  return knownPageBytes
}

/** AT_PAGESZ out of an auxiliary vector of 64-bit pairs; 4096 when it says nothing. */
export function pageBytesOf(auxiliary: Buffer): number {
  const AT_PAGESZ = 6n
  for (let at = 0; at + 16 <= auxiliary.length; at += 16) {
    if (auxiliary.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxiliary.readBigUInt64LE(at + 8))
  }
  return 4096
}
