import { describe, expect, it } from 'vitest'
import { FairRate } from '../../../relay/endpoint/fair-rate.ts'

describe('the fair rate', () => {
  it('is what came, shared by the streams that it came for, each counted once a stretch', () => {
    const rate = new FairRate()
    rate.share(100)
    let [a, b] = [0, 0]
    for (let i = 0; i < 10; i += 1) {
      a = rate.add(3_000, a)
      b = rate.add(1_000, b)
    }
    expect(rate.share(120)).toBe(40_000 / 20 / 2)
    a = rate.add(6_000, a)
    expect(rate.share(140)).toBe(6_000 / 20)
  })

  it('stays as it is within a stretch', () => {
    const rate = new FairRate()
    rate.share(100)
    const a = rate.add(2_000, 0)
    expect(rate.share(120)).toBe(100)
    rate.add(50_000, a)
    expect(rate.share(125)).toBe(100)
  })

  it('is nothing after a pause', () => {
    const rate = new FairRate()
    rate.share(100)
    rate.add(2_000, 0)
    expect(rate.share(1_000)).toBe(0)
  })
})
