import { describe, expect, it } from 'vitest'
import { parseHrtimers, parseMachineStat } from '../../bench/measure/machine-usage.ts'
import {
  parseStat,
  resetPeak,
  residentOf,
  type Usage,
  usageOfTrees,
} from '../../bench/measure/process-usage.ts'
import type { Role } from '../../bench/measure/role.ts'
import { noiseOf, peaksOf, sampleOf } from '../../bench/measure/sample.ts'
import { pairedRatio, quantile, summarise, summariseSamples } from '../../bench/measure/statistics.ts'
import type { Reading } from '../../bench/testbed/testbed.ts'

describe('statistics of runs', () => {
  it('gives the middle of an odd number of values, and the mean of the two middle ones of an even number', () => {
    expect(quantile([3, 1, 2], 0.5)).toBe(2)
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
  })

  it('keeps the lowest and the highest run beside the median', () => {
    expect(summarise([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9, runs: 3 })
  })

  it('leaves out a figure that one of the runs lacks', () => {
    expect(Object.keys(summariseSamples([{ a: 1, b: 2 }, { a: 3 }]))).toEqual(['a'])
  })

  it('compares runs pair by pair, so that what drifts falls out', () => {
    const ratio = pairedRatio([11, 22, 44], [10, 20, 40])
    expect(ratio.median).toBeCloseTo(1.1)
    expect(ratio.spread).toBeCloseTo(0)
    expect(ratio.pairs).toBe(3)
  })

  it('calls quartiles that lie apart a spread', () => {
    expect(pairedRatio([1, 2, 3], [1, 1, 1]).spread).toBeCloseTo(0.5)
  })
})

interface ReadingWish {
  readonly atMs?: number
  readonly busyS?: number
  readonly stealS?: number
  readonly hrtimers?: number
  readonly benchS?: number
  readonly relay?: Partial<Usage>
  readonly load?: Partial<Usage>
}

/** Zero is what nobody says otherwise. */
function reading(wish: ReadingWish): Reading {
  const { atMs = 0, busyS = 0, stealS = 0, hrtimers = 0, benchS = 0, relay, load } = wish
  const none: Usage = { cpuS: 0, residentBytes: 0, peakBytes: 0, readCalls: 0, writeCalls: 0 }
  const byRole = new Map<Role, Usage>()
  if (relay !== undefined) byRole.set('relay', { ...none, ...relay })
  if (load !== undefined) byRole.set('load', { ...none, ...load })
  return { atMs, machine: { busyS, stealS, hrtimers }, benchS, byRole }
}

describe('figures of the machine', () => {
  it('are busy time and what the host took, apart; waiting is neither', () => {
    const stat = 'cpu  100 20 30 4000 500 6 7 80 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n'
    expect(parseMachineStat(stat)).toEqual({ busyS: 1.63, stealS: 0.8 })
  })

  it('are timers of all cores, and none where the kernel does not tell', () => {
    const text =
      '                    CPU0       CPU1\n     HRTIMER:   24070906   23771835\n         RCU:  1 2\n'
    expect(parseHrtimers(text)).toBe(24_070_906 + 23_771_835)
    expect(parseHrtimers('TIMER: 1 2\n')).toBe(0)
  })
})

describe('figures of processes', () => {
  const line = (name: string): string =>
    `42 (${name}) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 20 30 20 0 1 0 12345 1000000 2048 18446744073709551615`

  it('adds user and system time of a process and of its children that ended', () => {
    expect(parseStat(line('node'))).toEqual({ parent: 7, cpuS: 2.5, residentBytes: 2048 * 4096 })
  })

  it('is not led astray by blanks and brackets in a name', () => {
    expect(parseStat(line('a) b (c'))).toEqual(parseStat(line('node')))
  })

  it('sums a process and all below it, and nothing beside it', () => {
    const row = (parent: number) => ({ parent, cpuS: 1, residentBytes: 10 })
    const table = new Map([
      [1, row(0)],
      [2, row(1)],
      [3, row(2)],
      [4, row(1)],
    ])
    const details = () => ({ peakBytes: 15, readCalls: 3, writeCalls: 4 })
    expect(usageOfTrees(table, [2], details)).toEqual({
      cpuS: 2,
      residentBytes: 20,
      peakBytes: 30,
      readCalls: 6,
      writeCalls: 8,
    })
    expect(usageOfTrees(table, [5], details).cpuS).toBe(0)
  })

  it('tells of a process’s peak since it was reset, and nothing of one that has ended', () => {
    const large = 256 * 2 ** 20
    new Uint8Array(large).fill(1).buffer.transfer(0) // gives its memory back at once
    const before = residentOf(process.pid)
    expect(before.peakBytes - before.residentBytes).toBeGreaterThan(large / 2)
    resetPeak(process.pid)
    expect(before.peakBytes - residentOf(process.pid).peakBytes).toBeGreaterThan(large / 2)
    const gone = 2 ** 22 + 1 // beyond the kernel's largest
    resetPeak(gone)
    expect(residentOf(gone)).toEqual({ residentBytes: 0, peakBytes: 0 })
  })

  it('counts as noise what the machine did beyond the processes of the run', () => {
    const start = reading({ busyS: 10, relay: { cpuS: 1, readCalls: 0 }, load: { cpuS: 1 } })
    const end = reading({
      atMs: 2_000,
      busyS: 14,
      relay: { cpuS: 2, readCalls: 10_000, writeCalls: 2_000 },
      load: { cpuS: 2 },
    })
    const sample = sampleOf({ mib: 2048 }, start, end)
    expect(sample.relayCpuSGib).toBeCloseTo(0.5)
    expect(sample.otherCores).toBeCloseTo(1)
    expect(sample.relayReadsMib).toBeCloseTo(10_000 / 2_048)
    expect(sample.relayWritesMib).toBeCloseTo(2_000 / 2_048)
  })

  it('keeps of the load its CPU time, and nothing else', () => {
    const [start, end] = [reading({ load: { cpuS: 1 } }), reading({ atMs: 2_000, load: { cpuS: 2 } })]
    const sample = sampleOf({ mib: 2048 }, start, end)
    expect(sample).toMatchObject({ loadCpuSGib: 0.5, loadCores: 0.5 })
    expect(sample.loadResidentMib).toBeUndefined()
  })

  it('counts what the host took as noise, and tells it apart', () => {
    const sample = sampleOf({}, reading({ stealS: 1 }), reading({ atMs: 2_000, busyS: 0.5, stealS: 1.5 }))
    expect(sample).toMatchObject({ stealCores: 0.25, otherCores: 0.5 })
  })

  it('counts timers of the kernel a GiB, where something was moved', () => {
    const [start, end] = [reading({ hrtimers: 100 }), reading({ atMs: 1_000, hrtimers: 4_100 })]
    expect(sampleOf({ mib: 2048 }, start, end).hrtimersGib).toBe(2_000)
    expect(sampleOf({}, start, end).hrtimersGib).toBeUndefined()
  })

  it('sees a peak that is over when the window ends', () => {
    const relay = (residentMib: number, peakMib: number) => ({
      residentBytes: residentMib * 2 ** 20,
      peakBytes: peakMib * 2 ** 20,
    })
    const alone = reading({ relay: relay(50, 90) })
    const start = reading({ relay: relay(50, 60) })
    const end = reading({ atMs: 1_000, relay: relay(50, 85) })
    expect(sampleOf({}, start, end)).toMatchObject({
      relayGrowthMib: 0,
      relayPeakMib: 85,
      relayPeakGrowthMib: 25,
    })
    expect(peaksOf([alone, start, end])).toEqual({ relayPeakMib: 90 })
  })

  it('does not count as noise what a process used that has ended and was reaped meanwhile', () => {
    const start = reading({ busyS: 10, benchS: 1, load: {} })
    const end = reading({ atMs: 2_000, busyS: 13, benchS: 4, load: {} })
    expect(sampleOf({}, start, end).otherCores).toBe(0)
  })

  it('takes the noise of the loudest part, and refuses a part without', () => {
    expect(noiseOf({ otherCores: 0.1 }, { otherCores: 0.3 }, { otherCores: 0 })).toBe(0.3)
    expect(() => noiseOf({ otherCores: 0.1 }, {})).toThrow(/does not know/)
  })
})
