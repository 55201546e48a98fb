import { describe, expect, it } from 'vitest'
import { compareAnswers, demoAnswer } from '../../scripts/demo-answer.ts'
import { spread } from '../../scripts/spread.ts'

describe("the demo's answer, computed without Spark", () => {
  const answer = demoAnswer(600_000, 300)

  it('counts every order once, in regions and by customer', () => {
    const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0)
    expect(sum(answer.regions.map((region) => region.orders))).toBe(600_000)
    expect(sum(answer.customers.map(([, orders]) => orders))).toBe(600_000)
    expect(sum(answer.regions.map((region) => region.amount))).toBe(
      sum(answer.customers.map(([, , amount]) => amount)),
    )
  })

  it('has the closed form where there is one', () => {
    // 104,729 and 10,007 are coprime, so 10,007 orders in a row have each amount once.
    const whole = demoAnswer(10_007 * 3, 1)
    expect(whole.customers[0]?.[2]).toBe((3 * 10_006 * 10_007) / 2)
  })

  it('is equal to itself, in whatever order fields come', () => {
    const turned = {
      ...answer,
      regions: answer.regions.map(
        (region) => Object.fromEntries(Object.entries(region).reverse()) as typeof region,
      ),
    }
    expect(compareAnswers(turned, answer)).toBeUndefined()
  })

  it('names the first difference', () => {
    const wrong = structuredClone(answer)
    ;(wrong.customers[7] as number[])[2] = -1
    expect(compareAnswers(wrong, answer)).toMatch(/^customers, row 7: Spark says \[\d+,\d+,-1,/)
    expect(compareAnswers({ ...answer, firstByReceipt: [] }, answer)).toMatch(
      /^firstByReceipt: Spark has 0 rows/,
    )
    const swapped = { ...answer, firstByReceipt: answer.firstByReceipt.toReversed() }
    expect(answer.firstByReceipt.length).toBeGreaterThan(1)
    expect(compareAnswers(swapped, answer)).toMatch(/^firstByReceipt, row 0/)
  })
})

describe('spread', () => {
  it('is least, middle and most', () => {
    expect(spread([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 })
    expect(spread([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 })
    expect(spread([]).median).toBeNaN()
  })
})
