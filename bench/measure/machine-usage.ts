/** What the kernel says of the whole machine, out of /proc, as it grows since the boot. Linux only. Used by the testbed. */
import { readFileSync } from 'node:fs'
import { TICKS_PER_SECOND } from './process-usage.ts'

export interface MachineUsage {
  /** CPU seconds that all cores have been busy with. */
  readonly busyS: number
  /** CPU seconds that the host has given to others while we wanted them: in nobody's time, and in no busy second. */
  readonly stealS: number
  /** Softirqs of high-resolution timers, on all cores: TCP that paces by a timer (bbr) makes one for each burst. */
  readonly hrtimers: number
}

export function readMachineUsage(): MachineUsage {
  const stat = readFileSync('/proc/stat', 'latin1')
  return { ...parseMachineStat(stat), hrtimers: parseHrtimers(readFileSync('/proc/softirqs', 'latin1')) }
}

/** CPU seconds of what is not ours to use: busy, or taken by the host. */
export function takenS({ busyS, stealS }: Pick<MachineUsage, 'busyS' | 'stealS'>): number {
  return busyS + stealS
}

/** The first line of /proc/stat. Pure. */
export function parseMachineStat(text: string): Pick<MachineUsage, 'busyS' | 'stealS'> {
  const [line = ''] = text.split('\n', 1)
  const fields = line.trim().split(/\s+/).slice(1).map(Number)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields
  return {
    busyS: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    stealS: steal / TICKS_PER_SECOND,
  }
}

/** The line `HRTIMER:` of /proc/softirqs, a column a core. Pure. 0 where there is none. */
export function parseHrtimers(text: string): number {
  const columns = /^\s*HRTIMER:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? []
  return columns.reduce((sum, column) => sum + Number(column), 0)
}
