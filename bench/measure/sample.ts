/** What one run of one contestant brought: figures by name. Names carry their unit. */
import type { Reading } from '../testbed/testbed.ts'
import { isContestant, type Role } from './role.ts'

export type Sample = Readonly<Record<string, number>>

/** The figure that says how quiet the machine was. Each sample has it. */
export const NOISE = 'otherCores'

/** Less than this was moved by nobody who was to move anything, GiB: a figure a GiB would say nothing. */
const LEAST_GIB = 0.05

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
    if (role === 'delay' || role === 'helper') continue
    sample[`${role}Cores`] = cpuS / seconds
    if (gib > LEAST_GIB) sample[`${role}CpuSGib`] = cpuS / gib
    if (!isContestant(role)) continue
    const grownBytes = residentOf(end, role) - residentOf(start, role)
    sample[`${role}ResidentMib`] = mib(residentOf(end, role))
    sample[`${role}GrowthMib`] = mib(grownBytes)
    sample[`${role}PeakMib`] = mib(peakOf(end, role))
    // Peak against peak: what a busy process has resident goes up and down by itself.
    sample[`${role}PeakGrowthMib`] = mib(peakOf(end, role) - peakOf(start, role))
    if (gib > LEAST_GIB) {
      const calls = (key: 'readCalls' | 'writeCalls'): number =>
        (end.byRole.get(role)?.[key] ?? 0) - (start.byRole.get(role)?.[key] ?? 0)
      sample[`${role}ReadsMib`] = calls('readCalls') / gib / 1024
      sample[`${role}WritesMib`] = calls('writeCalls') / gib / 1024
    }
    if (conns > 0) sample[`${role}KibConn`] = grownBytes / 1024 / conns
  }
  if (gib > LEAST_GIB) sample.hrtimersGib = (end.machine.hrtimers - start.machine.hrtimers) / gib
  sample.stealCores = (end.machine.stealS - start.machine.stealS) / seconds
  const othersS = Math.max(0, end.machine.busyS - start.machine.busyS - known)
  sample[NOISE] = othersS / seconds + sample.stealCores
  return sample
}

/** The most that each role had resident since the reading before the first of these, MiB. Pure. */
export function peaksOf(readings: readonly Reading[]): Sample {
  const peaks: Record<string, number> = {}
  for (const reading of readings) {
    for (const role of reading.byRole.keys()) {
      if (!isContestant(role)) continue
      const key = `${role}PeakMib`
      peaks[key] = Math.max(peaks[key] ?? 0, mib(peakOf(reading, role)))
    }
  }
  return peaks
}

function cpuOf(reading: Reading, role: Role): number {
  return reading.byRole.get(role)?.cpuS ?? 0
}

function residentOf(reading: Reading, role: Role): number {
  return reading.byRole.get(role)?.residentBytes ?? 0
}

function peakOf(reading: Reading, role: Role): number {
  return reading.byRole.get(role)?.peakBytes ?? 0
}

function mib(bytes: number): number {
  return bytes / 2 ** 20
}
