import { describe, expect, it } from 'vitest'
import { Pulse, pulsePeriod } from '../../../relay/time/pulse.ts'
import { Rounds } from '../../../relay/time/rounds.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

const KEEPALIVE_MS = 2_000
const SILENCE_MS = 6_000

function start(slots = 1) {
  const clock = new ManualClock()
  const beganMs = clock.now()
  const rounds = new Rounds(clock, pulsePeriod(KEEPALIVE_MS, SILENCE_MS), slots)
  const add = () => {
    const keepalives: number[] = []
    const silences: number[] = []
    const pulse = new Pulse(clock, rounds, KEEPALIVE_MS, SILENCE_MS, {
      keepalive: () => {
        keepalives.push(clock.now() - beganMs)
        pulse.sent(clock.now())
      },
      silent: () => silences.push(clock.now() - beganMs),
    })
    return { pulse, keepalives, silences }
  }
  return { clock, add }
}

describe('a pulse', () => {
  it('asks for a keepalive each time nothing was sent for so long, and for none while something is', () => {
    const { clock, add } = start()
    const { pulse, keepalives } = add()
    clock.pass(5_000)
    expect(keepalives).toEqual([2_000, 4_000])
    for (let i = 0; i < 10; i++) {
      pulse.sent(clock.now())
      clock.pass(500)
    }
    expect(keepalives).toHaveLength(2)
  })

  it('tells of silence once, when it is over, wherever between two ticks that is', () => {
    const { clock, add } = start()
    const { pulse, silences } = add()
    clock.pass(2_345)
    pulse.received(clock.now())
    clock.pass(5_999)
    expect(silences).toEqual([])
    clock.pass(3)
    expect(silences).toEqual([2_345 + SILENCE_MS + 1])
    clock.pass(60_000)
    expect(silences).toHaveLength(1)
  })

  it('takes back its doubt when something comes at the last moment', () => {
    const { clock, add } = start()
    const { pulse, silences } = add()
    clock.pass(SILENCE_MS - 1)
    pulse.received(clock.now())
    clock.pass(SILENCE_MS - 1)
    expect(silences).toEqual([])
    clock.pass(2)
    expect(silences).toHaveLength(1)
  })

  it('waits anew for the peer when this process was asleep', () => {
    const { clock, add } = start()
    const { silences } = add()
    clock.pass(500)
    clock.sleep(60_000)
    clock.pass(SILENCE_MS - 1)
    expect(silences).toEqual([])
    clock.pass(2)
    expect(silences).toHaveLength(1)
  })

  it('waits anew when it was put to sleep while it doubted', () => {
    const { clock, add } = start()
    const { silences } = add()
    clock.pass(SILENCE_MS - 500)
    clock.sleep(60_000)
    clock.pass(SILENCE_MS - 1)
    expect(silences).toEqual([])
    clock.pass(2)
    expect(silences).toHaveLength(1)
  })

  it('calls nothing once stopped, and leaves no timer', () => {
    const { clock, add } = start()
    const one = add()
    const other = add()
    clock.pass(SILENCE_MS - 500)
    one.pulse.stop()
    other.pulse.stop()
    clock.pass(60_000)
    expect([one, other].flatMap(({ silences }) => silences)).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('has one timer for all that are well', () => {
    const { clock, add } = start(64)
    const all = Array.from({ length: 1_000 }, () => {
      const one = add()
      clock.pass(1)
      return one
    })
    for (let at = 0; at < 20; at++) {
      clock.pass(500)
      for (const { pulse } of all) pulse.received(clock.now())
      expect(clock.pending).toBe(1)
    }
    for (const { keepalives, silences } of all) {
      expect(keepalives.length).toBeGreaterThanOrEqual(5)
      expect(silences).toEqual([])
    }
  })
})

describe('rounds', () => {
  it('call their members spread over the period as they came, also after a sleep', () => {
    const clock = new ManualClock()
    const rounds = new Rounds(clock, 1_000, 10)
    const called: number[] = []
    for (let n = 0; n < 10; n++) {
      rounds.join({ seat: -1, tick: (nowMs) => called.push(nowMs) })
      clock.pass(100)
    }
    const atOnce = (): number => {
      const counts = new Map<number, number>()
      for (const at of called.splice(0)) counts.set(at, (counts.get(at) ?? 0) + 1)
      return Math.max(...counts.values())
    }
    clock.pass(1_000)
    expect(atOnce()).toBe(1)
    clock.sleep(3_333)
    expect(atOnce()).toBe(10)
    clock.pass(1_000)
    expect(atOnce()).toBe(1)
  })

  it('tell how late a call is', () => {
    const clock = new ManualClock()
    const rounds = new Rounds(clock, 1_000, 1)
    const late: number[] = []
    rounds.join({ seat: -1, tick: (_now, lateMs) => late.push(lateMs) })
    clock.pass(1_000)
    clock.sleep(3_500)
    clock.pass(1_000)
    expect(late).toEqual([0, 2_500, 0])
  })
})
