/**
 * Keepalive and silence of one link, the same at both ends. Used by relay/endpoint and
 * relay/server.
 *
 * A verdict of silence is about the peer, so it must not come from our own sleep: a process
 * that was stopped (SIGSTOP, a long collection, a frozen function) finds minutes gone with the
 * peer's bytes still unread in the kernel. So a tick that comes late starts the clock anew,
 * and a verdict needs one finished poll of the sockets after the deadline.
 */
import type { Clock, Timer } from './clock.ts'
import type { Member, Rounds } from './rounds.ts'

/** A tick this late means that we slept, ms. */
const LATE_MS = 1_000

export interface PulseEvents {
  /** Nothing was sent for the keepalive time: send a PING. */
  keepalive(): void
  /** Nothing came for the silence time. Called once. */
  silent(): void
}

/** How often pulses of these times are looked at, ms: what their Rounds are made with. */
export function pulsePeriod(keepaliveMs: number, silenceMs: number): number {
  return Math.max(5, Math.min(keepaliveMs / 2, silenceMs / 6))
}

export class Pulse implements Member {
  readonly #clock: Clock
  readonly #rounds: Rounds
  readonly #keepaliveMs: number
  readonly #silenceMs: number
  readonly #events: PulseEvents
  #lastReceivedMs: number
  #lastSentMs: number
  /** While a verdict of silence waits for the poll. */
  #verdict: Timer | undefined
  seat = -1

  /** Both in ms; `silenceMs` should be about three times `keepaliveMs`. `rounds`: of pulsePeriod(). */
  constructor(clock: Clock, rounds: Rounds, keepaliveMs: number, silenceMs: number, events: PulseEvents) {
    this.#clock = clock
    this.#rounds = rounds
    this.#keepaliveMs = keepaliveMs
    this.#silenceMs = silenceMs
    this.#events = events
    const now = clock.now()
    this.#lastReceivedMs = now
    this.#lastSentMs = now
    rounds.join(this)
  }

  /** Bytes came. `nowMs` as the caller has it at hand. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs
  }
  /** Bytes went out. */
  sent(nowMs: number): void {
    this.#lastSentMs = nowMs
  }
  /** Nothing is called any more. */
  stop(): void {
    this.#rounds.leave(this)
    this.#verdict?.cancel()
  }

  /** For the rounds. */
  tick(now: number, lateMs: number): void {
    if (lateMs > LATE_MS) this.#lastReceivedMs = now
    if (now - this.#lastSentMs >= this.#keepaliveMs - this.#rounds.periodMs / 2) this.#events.keepalive()
    // Only a link that is nearly silent has a timer, so that it is judged in time, not at the next tick.
    const leftMs = this.#lastReceivedMs + this.#silenceMs - now
    if (leftMs >= this.#rounds.periodMs || this.#verdict !== undefined) return
    const waitMs = Math.max(0, leftMs)
    this.#verdict = this.#clock.after(waitMs, () => this.#judge(now + waitMs))
  }

  #judge(expectedMs: number): void {
    this.#verdict = undefined
    const now = this.#clock.now()
    if (now - expectedMs > LATE_MS) this.#lastReceivedMs = now
    if (now - this.#lastReceivedMs < this.#silenceMs) return
    const seen = this.#lastReceivedMs
    // Timers run before the poll for sockets: what has come meanwhile is read before this one fires.
    this.#verdict = this.#clock.after(1, () => {
      this.#verdict = undefined
      if (this.#lastReceivedMs !== seen) return
      this.#rounds.leave(this)
      this.#events.silent()
    })
  }
}
