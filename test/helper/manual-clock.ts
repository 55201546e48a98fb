/** A clock that only the test moves. Timers run in order of their time, then of their making. */
import type { Clock, Timer } from '../../relay/time/clock.ts'

interface Pending {
  readonly atMs: number
  readonly callback: () => void
}

export class ManualClock implements Clock {
  #nowMs = 1_000
  readonly #pending = new Set<Pending>()

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { atMs: this.#nowMs + delayMs, callback }
    this.#pending.add(pending)
    return { cancel: () => this.#pending.delete(pending) }
  }

  /** Moves time on, running what falls due on the way. */
  pass(ms: number): void {
    const until = this.#nowMs + ms
    for (;;) {
      let next: Pending | undefined
      for (const pending of this.#pending) {
        if (pending.atMs <= until && (next === undefined || pending.atMs < next.atMs)) next = pending
      }
      if (next === undefined) break
      this.#pending.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
    }
    this.#nowMs = until
  }

  /** Time goes on while this process does not: what fell due runs late. */
  sleep(ms: number): void {
    this.#nowMs += ms
    this.pass(0)
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#pending.size
  }
}
