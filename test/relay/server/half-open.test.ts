import { describe, expect, it } from 'vitest'
import { type HalfOpen, type HalfOpenEnd, HalfOpenTable } from '../../../relay/server/half-open.ts'
import { RelayMetrics } from '../../../relay/server/metrics.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

interface Guest {
  readonly halfOpen: HalfOpen
  readonly ends: HalfOpenEnd[]
}

function table(limits: Partial<ConstructorParameters<typeof HalfOpenTable>[0]> = {}) {
  const clock = new ManualClock()
  const metrics = new RelayMetrics()
  const halfOpen = new HalfOpenTable(
    { handshakeMs: 5_000, maxUnauthenticated: 4, maxUnauthenticatedPerRemote: 2, ...limits },
    clock,
    metrics,
  )
  const add = (remote: string): Guest => {
    const ends: HalfOpenEnd[] = []
    return { halfOpen: halfOpen.add(remote, (why) => ends.push(why)), ends }
  }
  return { clock, metrics, halfOpen, add }
}

describe('unauthenticated connections', () => {
  it('are closed as slow when the handshake time is over, each at its own', () => {
    const { clock, add, metrics } = table()
    const early = add('a')
    clock.pass(3_000)
    const late = add('b')
    clock.pass(1_999)
    expect(early.ends).toEqual([])
    clock.pass(2)
    expect([early.ends, late.ends]).toEqual([['slow'], []])
    clock.pass(3_000)
    expect(late.ends).toEqual(['slow'])
    expect(metrics.unauthenticated).toBe(0)
  })

  it('are left to the node a moment longer once it has them, so that it can say why', () => {
    const { clock, add } = table()
    const handed = add('a')
    const slow = add('b')
    handed.halfOpen.handOver()
    clock.pass(5_001)
    expect([handed.ends, slow.ends]).toEqual([[], ['slow']])
    clock.pass(500)
    expect(handed.ends).toEqual(['slow'])
  })

  it('are left alone when they settled', () => {
    const { clock, add, metrics } = table()
    const guest = add('a')
    expect(metrics.unauthenticated).toBe(1)
    guest.halfOpen.settle()
    guest.halfOpen.settle()
    expect(metrics.unauthenticated).toBe(0)
    clock.pass(60_000)
    expect(guest.ends).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('of one remote are capped: its oldest goes, others stay', () => {
    const { add } = table()
    const other = add('other')
    const oldest = add('a')
    const older = add('a')
    const newest = add('a')
    expect([other.ends, oldest.ends, older.ends, newest.ends]).toEqual([[], ['too-many-remote'], [], []])
  })

  it('in all are capped: the oldest of all goes', () => {
    const { add, halfOpen } = table()
    const guests = ['a', 'b', 'c', 'd', 'e'].map(add)
    expect(guests.map(({ ends }) => ends)).toEqual([['too-many'], [], [], [], []])
    expect(halfOpen.size).toBe(4)
  })

  it('of one remote go on being counted after its only one was evicted', () => {
    const { add } = table({ maxUnauthenticatedPerRemote: 1 })
    const guests = [add('a'), add('a'), add('a')]
    expect(guests.map(({ ends }) => ends.length)).toEqual([1, 1, 0])
  })

  it('are all closed by clear(), and no timer stays', () => {
    const { add, halfOpen, clock } = table()
    const guests = [add('a'), add('b')]
    halfOpen.clear()
    expect(guests.map(({ ends }) => ends)).toEqual([['slow'], ['slow']])
    expect(clock.pending).toBe(0)
  })
})
