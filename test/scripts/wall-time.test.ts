import { describe, expect, it } from 'vitest'
import { inWords, tooLong } from '../../scripts/wall-time.ts'

const limitMs = 20 * 60_000

describe('the time that all tests took', () => {
  it('is told in minutes and seconds', () => {
    expect([0, 59_600, 754_000].map(inWords)).toEqual(['0 min 0 s', '1 min 0 s', '12 min 34 s'])
  })

  it('is too long in CI from 20 minutes on, in one sentence', () => {
    expect(tooLong(limitMs, { CI: '1' })).toBeUndefined()
    expect(tooLong(limitMs + 1_000, { CI: 'true' })).toMatch(
      /^all tests took 20 min 1 s, more than the 20 minutes [^\n]+$/,
    )
  })

  it('is never too long where CI is not set', () => {
    for (const environment of [{}, { CI: '' }]) expect(tooLong(10 * limitMs, environment)).toBeUndefined()
  })
})
