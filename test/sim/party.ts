/**
 * A process of the simulation: its own view of the clock, its buffers. It can be stopped (as by
 * SIGSTOP) and go on later, or die. Used by test/sim.
 */
import { type Slab, SlabPool } from '../../relay/pipe/slab.ts'
import type { Clock, Timer } from '../../relay/time/clock.ts'
import type { SimClock } from './sim-clock.ts'

/** Overwrites what comes back, so that whoever reads on without a reference is caught. */
class PoisoningPool extends SlabPool {
  override give(slab: Slab): void {
    slab.bytes.fill(0xdd)
    super.give(slab)
  }
}

export class Party implements Clock {
  readonly name: string
  readonly clock: SimClock
  readonly #pools = new Map<number, SlabPool>()
  isDead = false
  stoppedUntilMs = 0

  constructor(name: string, clock: SimClock) {
    this.name = name
    this.clock = clock
  }

  now(): number {
    return this.clock.now()
  }

  /** Runs `callback` when the party is awake; never when it is dead. */
  after(delayMs: number, callback: () => void): Timer {
    let timer: Timer
    const fire = (): void => {
      if (this.isDead) return
      const wait = this.stoppedUntilMs - this.clock.now()
      if (wait > 0) timer = this.clock.after(wait, fire)
      else callback()
    }
    timer = this.clock.after(delayMs, fire)
    return { cancel: () => timer.cancel() }
  }

  /** Nothing of it runs for `ms`. What comes meanwhile waits. */
  stopFor(ms: number): void {
    this.stoppedUntilMs = Math.max(this.stoppedUntilMs, this.clock.now() + ms)
  }

  slab(bytes: number): Slab {
    let pool = this.#pools.get(bytes)
    if (pool === undefined) {
      pool = new PoisoningPool(bytes, 4)
      this.#pools.set(bytes, pool)
    }
    return pool.take()
  }

  /** Buffers that somebody still holds. */
  get slabsOut(): number {
    let out = 0
    for (const pool of this.#pools.values()) out += pool.outstanding
    return out
  }
}
