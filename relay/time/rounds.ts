/**
 * One timer for many that want to be called once a period, each at its own time in it: a relay
 * has tens of thousands of links, and a timer each would weigh as much as the rest of an idle
 * one. Who joins is called a period later and then each period, to within the length of a slot.
 * Used by pulse.ts.
 */
import type { Clock, Timer } from './clock.ts'

export interface Member {
  /** Comes `lateMs` after its time. May leave the rounds, or have others leave. */
  tick(nowMs: number, lateMs: number): void
  /** Which slot it sits in: for Rounds alone. */
  seat: number
}

interface Slot {
  readonly members: Set<Member>
  nextMs: number
}

export class Rounds {
  readonly #clock: Clock
  readonly #periodMs: number
  /** Their times are spread over the period, and stay so. */
  readonly #slots: readonly Slot[]
  #timer: Timer | undefined

  /** `slots`: 1 for a few members; the more, the fewer are called at one time. */
  constructor(clock: Clock, periodMs: number, slots: number) {
    this.#clock = clock
    this.#periodMs = periodMs
    const now = clock.now()
    this.#slots = Array.from({ length: slots }, (_, at) => ({
      members: new Set<Member>(),
      nextMs: now + ((at + 1) * periodMs) / slots,
    }))
  }

  join(member: Member): void {
    const now = this.#clock.now()
    let latest = -1
    let latestMs = Number.NEGATIVE_INFINITY
    for (const [seat, slot] of this.#slots.entries()) {
      if (slot.members.size === 0) this.#advance(slot, now) // empty ones are not called
      if (slot.nextMs <= latestMs) continue
      latest = seat
      latestMs = slot.nextMs
    }
    member.seat = latest
    this.#slots[latest]?.members.add(member)
    if (this.#timer === undefined) this.#arm(now)
  }

  get periodMs(): number {
    return this.#periodMs
  }

  /** Idempotent. */
  leave(member: Member): void {
    this.#slots[member.seat]?.members.delete(member)
  }

  readonly #call = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    for (const slot of this.#slots) {
      if (slot.members.size === 0 || slot.nextMs > now) continue
      const lateMs = now - slot.nextMs
      this.#advance(slot, now)
      for (const member of slot.members) member.tick(now, lateMs)
    }
    if (this.#timer === undefined) this.#arm(now)
  }

  /** Whole periods: slots that were late together do not stay together. */
  #advance(slot: Slot, now: number): void {
    if (slot.nextMs > now) return
    slot.nextMs += this.#periodMs * (1 + Math.floor((now - slot.nextMs) / this.#periodMs))
  }

  #arm(now: number): void {
    let next = Number.POSITIVE_INFINITY
    for (const slot of this.#slots) if (slot.members.size > 0 && slot.nextMs < next) next = slot.nextMs
    if (next !== Number.POSITIVE_INFINITY)
      this.#timer = this.#clock.after(Math.max(0, next - now), this.#call)
  }
}
