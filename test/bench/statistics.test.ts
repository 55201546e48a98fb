import { describe, expect, it } from 'vitest'
import { parseStat, usageOfTrees } from '../../bench/measure/process-usage.ts'
import { noiseOf, sampleOf } from '../../bench/measure/sample.ts'
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
    const calls = () => ({ readCalls: 3, writeCalls: 4 })
    expect(usageOfTrees(table, [2], calls)).toEqual({
      cpuS: 2,
      residentBytes: 20,
      readCalls: 6,
      writeCalls: 8,
    })
  })

  it('counts as noise what the machine did beyond the processes of the run', () => {
    const reading = (atMs: number, machineS: number, relayS: number, loadS: number, benchS = 0): Reading => ({
      atMs,
      machineS,
      benchS,
      byRole: new Map([
        ['relay', { cpuS: relayS, residentBytes: 2 ** 20, readCalls: atMs * 5, writeCalls: atMs }],
        ['load', { cpuS: loadS, residentBytes: 0, readCalls: 0, writeCalls: 0 }],
      ]),
    })
    const sample = sampleOf({ mib: 2048 }, reading(0, 10, 1, 1), reading(2_000, 14, 2, 2))
    expect(sample.relayCpuSGib).toBeCloseTo(0.5)
    expect(sample.otherCores).toBeCloseTo(1)
    expect(sample.relayReadsMib).toBeCloseTo((5 * 2_000) / 2_048)
    expect(sample.relayWritesMib).toBeCloseTo(2_000 / 2_048)
    expect(sample.loadCpuSGib).toBeUndefined()
  })

  it('does not count as noise what a process used that has ended and was reaped meanwhile', () => {
    const reading = (atMs: number, machineS: number, benchS: number): Reading => ({
      atMs,
      machineS,
      benchS,
      byRole: new Map([['load', { cpuS: 0, residentBytes: 0, readCalls: 0, writeCalls: 0 }]]),
    })
    expect(sampleOf({}, reading(0, 10, 1), reading(2_000, 13, 4)).otherCores).toBe(0)
  })

  it('takes the noise of the loudest part, and refuses a part without', () => {
    expect(noiseOf({ otherCores: 0.1 }, { otherCores: 0.3 }, { otherCores: 0 })).toBe(0.3)
    expect(() => noiseOf({ otherCores: 0.1 }, {})).toThrow(/does not know/)
  })
})
