/**
 * A process of the simulation: its own view of the clock, its buffers. It can be stopped (as by
 * SIGSTOP) and go on later, or die. Used by test/sim.
 */
import { Slab, SlabPool } from '../../relay/pipe/slab.ts'
import type { Clock, Timer } from '../../relay/time/clock.ts'
import type { SimClock } from './sim-clock.ts'

/** Buffers that no party has, by size: allocating them anew for each schedule costs more than the schedule. */
const unused = new Map<number, Buffer[]>()

/** Overwrites what comes back, so that whoever reads on without a reference is caught. */
class PoisoningPool extends SlabPool {
  #out = 0

  override take(): Slab {
    this.#out += 1
    return new Slab(unused.get(this.slabBytes)?.pop() ?? Buffer.allocUnsafeSlow(this.slabBytes), this)
  }
  override give(slab: Slab): void {
    this.#out -= 1
    slab.bytes.fill(0xdd)
    const same = unused.get(this.slabBytes)
    if (same === undefined) unused.set(this.slabBytes, [slab.bytes])
    else if (same.length < 256) same.push(slab.bytes)
  }
  override get outstanding(): number {
    return this.#out
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
    return this.clock.after(delayMs, callback, this)
  }

  /** Nothing of it runs for `ms`. What comes meanwhile waits. */
  stopFor(ms: number): void {
    this.stoppedUntilMs = Math.max(this.stoppedUntilMs, this.clock.now() + ms)
  }

  slab(bytes: number): Slab {
    let pool = this.#pools.get(bytes)
    if (pool === undefined) {
      pool = new PoisoningPool(bytes, 0)
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
