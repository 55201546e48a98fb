/** How much memory another process of ours takes. Used by session.ts. */
import { readFileSync } from 'node:fs'

/** Resident set of `pid`, bytes; undefined where there is no /proc or no such process. */
export function residentBytesOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
  } catch {
    return undefined
  }
}
