import { describe, expect, it } from 'vitest'
import { billOf, formatDollars, lambdaMemoryMb } from '../../driver-agent/cost.ts'

const MiB = 1024 * 1024

describe('what functions cost at list price', () => {
  it('is memory times time, and a request each', () => {
    const bill = billOf([
      { memoryBytes: 1024 * MiB, durationMs: 10_000 },
      { memoryBytes: 2048 * MiB, durationMs: 500 },
    ])
    expect(bill.gbSeconds).toBeCloseTo(11, 9)
    expect(bill.requests).toBe(2)
    expect(bill.dollars).toBeCloseTo(11 * 0.0000166667 + 2 * 0.0000002, 12)
  })

  it('is less on arm', () => {
    expect(billOf([{ memoryBytes: 1024 * MiB, durationMs: 1_000_000 }], 'arm').dollars).toBeCloseTo(
      0.0133336,
      6,
    )
  })

  it('bills begun milliseconds and megabytes whole', () => {
    expect(billOf([{ memoryBytes: 1024 * MiB, durationMs: 0.2 }]).gbSeconds).toBeCloseTo(0.001, 9)
    expect(lambdaMemoryMb(984 * MiB + 1)).toBe(985)
  })

  it('keeps within what Lambda can be set to', () => {
    expect(lambdaMemoryMb(1)).toBe(128)
    expect(lambdaMemoryMb(64 * 1024 * MiB)).toBe(10_240)
  })

  it('shows small sums with the digits that count', () => {
    expect([0, 0.000074321, 0.0044, 0.2, 12.345].map(formatDollars)).toEqual([
      '$0',
      '$0.000074',
      '$0.0044',
      '$0.20',
      '$12.35',
    ])
  })
})
