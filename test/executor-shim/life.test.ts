import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Deed, type Life, type LifeEvent, step } from '../../executor-shim/life.ts'

/** Feeds events one by one; the last life and all deeds. */
function live(...events: readonly LifeEvent[]): { readonly life: Life; readonly deeds: readonly Deed[] } {
  let life: Life = { is: 'attaching' }
  const deeds: Deed[] = []
  for (const event of events) {
    const next = step(life, event)
    life = next.life
    deeds.push(...next.deeds)
  }
  return { life, deeds }
}

const attached: LifeEvent = { is: 'attached' }
const exitedWell: LifeEvent = { is: 'jvm-exited', code: 0, signal: null }
const exited143: LifeEvent = { is: 'jvm-exited', code: 143, signal: null }

describe("an executor's life", () => {
  it('starts the JVM when the tunnel is attached, and only once', () => {
    expect(live(attached, attached).deeds).toEqual([{ do: 'start-jvm' }])
  })

  it('is done when the JVM exits 0, and says so before it leaves', () => {
    const { life, deeds } = live(attached, exitedWell)
    expect(life).toEqual({ is: 'over', exitCode: 0 })
    expect(deeds.slice(1)).toEqual([
      { do: 'report-exit', code: 0, signal: null },
      { do: 'finish', exitCode: 0, inOrder: true },
    ])
  })

  it('fails when the JVM fails or dies of a signal', () => {
    expect(live(attached, exited143).life).toEqual({ is: 'over', exitCode: 1 })
    expect(live(attached, { is: 'jvm-exited', code: null, signal: 'SIGKILL' }).life).toEqual({
      is: 'over',
      exitCode: 1,
    })
  })

  it('drains by SIGPWR, tells the agent, and is done when the JVM then exits 0', () => {
    const { life, deeds } = live(attached, { is: 'drain', reason: 'lifetime' }, exitedWell)
    expect(deeds.slice(1, 3)).toEqual([
      { do: 'send', message: { is: 'draining', reason: 'lifetime' } },
      { do: 'signal', signal: 'SIGPWR' },
    ])
    expect(life).toEqual({ is: 'over', exitCode: 0 })
  })

  it('does not drain twice: a second SIGPWR would end a JVM that does not expect it', () => {
    const drain: LifeEvent = { is: 'drain', reason: 'x' }
    expect(live(attached, drain, drain).deeds.filter((deed) => deed.do === 'signal')).toHaveLength(1)
  })

  it('ends the JVM by SIGTERM, and by SIGKILL when its grace is over', () => {
    const { deeds } = live(attached, { is: 'end', cause: 'asked', graceMs: 500 }, { is: 'grace-over' })
    expect(deeds.slice(1)).toEqual([
      { do: 'signal', signal: 'SIGTERM' },
      { do: 'wait', ms: 500 },
      { do: 'signal', signal: 'SIGKILL' },
    ])
  })

  it('kills at once, and tells nobody, when whoever started it is gone', () => {
    const { life, deeds } = live(attached, { is: 'end', cause: 'parent-gone', graceMs: 0 }, exited143)
    expect(deeds.slice(1)).toEqual([
      { do: 'signal', signal: 'SIGKILL' },
      { do: 'finish', exitCode: 3, inOrder: false },
    ])
    expect(life).toEqual({ is: 'over', exitCode: 3 })
  })

  it('hurries when whoever started it goes while it ends', () => {
    const { deeds } = live(
      attached,
      { is: 'end', cause: 'asked', graceMs: 60_000 },
      { is: 'end', cause: 'parent-gone', graceMs: 0 },
    )
    expect(deeds.at(-1)).toEqual({ do: 'signal', signal: 'SIGKILL' })
  })

  it('says by its exit code that its lifetime was over', () => {
    const { life, deeds } = live(attached, { is: 'end', cause: 'lifetime', graceMs: 100 }, exited143)
    expect(life).toEqual({ is: 'over', exitCode: 124 })
    expect(deeds).toContainEqual({ do: 'report-exit', code: 143, signal: null })
  })

  it('ends without a JVM when it is told to before it is attached', () => {
    expect(live({ is: 'end', cause: 'asked', graceMs: 100 }, attached).deeds).toEqual([
      { do: 'finish', exitCode: 1, inOrder: true },
    ])
  })

  it('finishes exactly once, and starts at most one JVM, whatever comes in whatever order', () => {
    const event: fc.Arbitrary<LifeEvent> = fc.oneof(
      fc.constant(attached),
      fc.constant<LifeEvent>({ is: 'failed', exitCode: 2 }),
      fc.constant(exitedWell),
      fc.constant<LifeEvent>({ is: 'grace-over' }),
      fc.constant<LifeEvent>({ is: 'drain', reason: 'r' }),
      fc.record({
        is: fc.constant('end' as const),
        cause: fc.constantFrom('asked', 'lifetime', 'driver-gone', 'tunnel-lost', 'parent-gone'),
        graceMs: fc.constantFrom(0, 100),
      }),
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const { life, deeds } = live(...events, exitedWell)
        const count = (what: Deed['do']) => deeds.filter((deed) => deed.do === what).length
        expect(life.is).toBe('over')
        expect(count('finish')).toBe(1)
        expect(count('start-jvm')).toBeLessThanOrEqual(1)
        expect(count('report-exit')).toBeLessThanOrEqual(1)
      }),
    )
  })
})
