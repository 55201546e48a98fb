import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SlabPool } from '../../../relay/pipe/slab.ts'

describe('a pool of slabs', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  const takeAll = (pool: SlabPool, count: number) => Array.from({ length: count }, () => pool.take())

  it('hands out what came back, the last one first', () => {
    const pool = new SlabPool(1024, 0)
    const [first, second] = takeAll(pool, 2)
    first?.release()
    second?.release()
    expect(pool.take()).toBe(second)
    expect(pool.take()).toBe(first)
  })

  it('allocates nothing while as many are used as a moment ago, however many', () => {
    const pool = new SlabPool(1024, 2)
    const busy = new Set(takeAll(pool, 200))
    for (let turn = 0; turn < 20; turn += 1) {
      for (const slab of busy) slab.release()
      vi.advanceTimersByTime(1_000)
      expect(new Set(takeAll(pool, 200))).toEqual(busy)
    }
  })

  it('lets go of what nobody has needed for some seconds, down to those it may keep', () => {
    const pool = new SlabPool(1024, 2)
    const busy = new Set(takeAll(pool, 50))
    for (const slab of busy) slab.release()
    vi.advanceTimersByTime(10_000)
    const known = takeAll(pool, 50).filter((slab) => busy.has(slab))
    expect(known).toHaveLength(2)
  })

  it('counts what is out', () => {
    const pool = new SlabPool(1024, 2)
    const [first] = takeAll(pool, 3)
    first?.release()
    expect(pool.outstanding).toBe(2)
  })
})
