/** What one run of one contestant brought: figures by name. Names carry their unit. */
import type { Reading, Role } from '../testbed/testbed.ts'

export type Sample = Readonly<Record<string, number>>

/** The figure that says how quiet the machine was. Each sample has it. */
export const NOISE = 'otherCores'

/** The loudest of the parts that a run consists of. Throws for one that does not know: a fault of its bench. */
export function noiseOf(...parts: readonly Sample[]): number {
  return Math.max(
    ...parts.map((part) => {
      const noise = part[NOISE]
      if (noise === undefined || !Number.isFinite(noise))
        throw new Error('a run does not know what others did')
      return noise
    }),
  )
}

/** Joins what the load counted with what each role used between the readings. Pure. */
export function sampleOf(counted: Readonly<Record<string, number>>, start: Reading, end: Reading): Sample {
  const sample: Record<string, number> = { ...counted }
  const seconds = (end.atMs - start.atMs) / 1_000
  const gib = (counted.mib ?? 0) / 1024
  const conns = counted.conns ?? 0
  // What has ended meanwhile is no role's any more, and its time has become the bench's.
  let known = end.benchS - start.benchS
  for (const role of end.byRole.keys()) {
    const cpuS = cpuOf(end, role) - cpuOf(start, role)
    known += cpuS
    if (role === 'load' || role === 'delay' || role === 'helper') continue
    const grownBytes = residentOf(end, role) - residentOf(start, role)
    sample[`${role}Cores`] = cpuS / seconds
    sample[`${role}ResidentMib`] = residentOf(end, role) / 2 ** 20
    sample[`${role}GrowthMib`] = grownBytes / 2 ** 20
    if (gib > 0.05) {
      sample[`${role}CpuSGib`] = cpuS / gib
      const calls = (key: 'readCalls' | 'writeCalls'): number =>
        (end.byRole.get(role)?.[key] ?? 0) - (start.byRole.get(role)?.[key] ?? 0)
      sample[`${role}ReadsMib`] = calls('readCalls') / gib / 1024
      sample[`${role}WritesMib`] = calls('writeCalls') / gib / 1024
    }
    if (conns > 0) sample[`${role}KibConn`] = grownBytes / 1024 / conns
  }
  sample[NOISE] = Math.max(0, end.machineS - start.machineS - known) / seconds
  return sample
}

function cpuOf(reading: Reading, role: Role): number {
  return reading.byRole.get(role)?.cpuS ?? 0
}

function residentOf(reading: Reading, role: Role): number {
  return reading.byRole.get(role)?.residentBytes ?? 0
}
