import { describe, expect, it } from 'vitest'
import { BurstLog } from '../../../relay/server/burst-log.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

function refusals() {
  const clock = new ManualClock()
  const lines: { fields: Record<string, unknown>; message: string }[] = []
  const say = (fields: object, message: string): void => void lines.push({ fields: { ...fields }, message })
  const log = new BurstLog({ info: say, warn: say, error: say }, clock, 'more of them')
  const refuse = (reason = 'unauthorized'): void => log.warn(reason, { reason }, 'link refused')
  return { clock, lines, log, refuse }
}

describe('a log of bursts', () => {
  it('has a line for each while they are few', () => {
    const { lines, refuse } = refusals()
    refuse()
    expect(lines).toEqual([{ message: 'link refused', fields: { reason: 'unauthorized' } }])
  })

  it('has a burst, then one sum of the rest by reason', () => {
    const { clock, lines, refuse } = refusals()
    for (let i = 0; i < 1_000; i++) refuse()
    refuse('violation')
    expect(lines).toHaveLength(50)
    clock.pass(10_000)
    expect(lines.slice(50)).toEqual([
      {
        message: 'more of them',
        fields: { reasons: { unauthorized: 950, violation: 1 } },
      },
    ])
    clock.pass(60_000)
    expect(lines).toHaveLength(51)
  })

  it('earns two lines a second, and no more than a burst', () => {
    const { clock, lines, refuse } = refusals()
    for (let i = 0; i < 50; i++) refuse()
    clock.pass(2_000)
    for (let i = 0; i < 10; i++) refuse()
    expect(lines).toHaveLength(54)
    clock.pass(3_600_000)
    lines.length = 0
    for (let i = 0; i < 200; i++) refuse()
    expect(lines).toHaveLength(50)
  })

  it('says the sum at the end of the relay', () => {
    const { lines, log, refuse } = refusals()
    for (let i = 0; i < 60; i++) refuse()
    log.close()
    expect(lines.at(-1)?.fields).toEqual({ reasons: { unauthorized: 10 } })
  })
})
