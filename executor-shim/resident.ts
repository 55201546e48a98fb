/** Resident memory of processes, out of /proc. Used by shim.ts. Zero where there is no /proc. */
import { readFileSync } from 'node:fs'

/** The most that `pid` ever had resident, bytes (VmHWM). */
export function peakResidentBytes(pid: number): number {
  try {
    return peakOf(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return 0 // gone, or no /proc
  }
}

/** VmHWM of a /proc/PID/status text, bytes; 0 when it has none (a zombie). */
export function peakOf(status: string): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(status)
  return match === null ? 0 : Number(match[1]) * 1024
}
