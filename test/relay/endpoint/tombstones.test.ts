import { describe, expect, it } from 'vitest'
import { Tombstones } from '../../../relay/endpoint/tombstones.ts'

describe('streams that ended', () => {
  it('are remembered for their time, each from its own end', () => {
    const tombstones = new Tombstones(1_000)
    tombstones.add('a', 'a 1', true, 0)
    tombstones.add('b', 'b 1', false, 500)
    tombstones.sweep(999)
    expect([tombstones.has('a', 'a 1'), tombstones.wasClean('a', 'a 1'), tombstones.size]).toEqual([
      true,
      true,
      2,
    ])
    tombstones.sweep(1_000)
    expect([tombstones.has('a', 'a 1'), tombstones.has('b', 'b 1'), tombstones.size]).toEqual([
      false,
      true,
      1,
    ])
    expect(tombstones.wasClean('b', 'b 1')).toBe(false)
    tombstones.sweep(1_500)
    expect(tombstones.size).toBe(0)
  })

  it('of one peer are bounded, and no other peer’s are forgotten for it', () => {
    const tombstones = new Tombstones(1_000)
    tombstones.add('honest', 'honest 1', true, 0)
    for (let id = 0; id < 100_000; id++) tombstones.add('hostile', `hostile ${id}`, false, 0)
    expect(tombstones.size).toBe(65_536 + 1)
    expect(tombstones.has('honest', 'honest 1')).toBe(true)
    expect(tombstones.has('hostile', 'hostile 99999')).toBe(true)
    expect(tombstones.has('hostile', 'hostile 0')).toBe(false)
    tombstones.sweep(1_000)
    expect(tombstones.size).toBe(0)
  })
})
