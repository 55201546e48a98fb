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

/** A tick this late means that we slept, ms. */
const LATE_MS = 1_000

export interface PulseEvents {
  /** Nothing was sent for the keepalive time: send a PING. */
  keepalive(): void
  /** Nothing came for the silence time. Called once. */
  silent(): void
}

export class Pulse {
  readonly #clock: Clock
  readonly #keepaliveMs: number
  readonly #silenceMs: number
  readonly #events: PulseEvents
  readonly #tickMs: number
  #lastReceivedMs: number
  #lastSentMs: number
  #expectedTickMs: number
  #timer: Timer

  /** Both in ms; `silenceMs` should be about three times `keepaliveMs`. */
  constructor(clock: Clock, keepaliveMs: number, silenceMs: number, events: PulseEvents) {
    this.#clock = clock
    this.#keepaliveMs = keepaliveMs
    this.#silenceMs = silenceMs
    this.#events = events
    this.#tickMs = Math.max(5, Math.min(keepaliveMs / 2, silenceMs / 6))
    const now = clock.now()
    this.#lastReceivedMs = now
    this.#lastSentMs = now
    this.#expectedTickMs = now + this.#tickMs
    this.#timer = clock.after(this.#tickMs, () => this.#tick())
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
    this.#timer.cancel()
  }

  #tick(): void {
    const now = this.#clock.now()
    if (now - this.#expectedTickMs > LATE_MS) this.#lastReceivedMs = now
    if (now - this.#lastSentMs >= this.#keepaliveMs - this.#tickMs / 2) this.#events.keepalive()
    if (now - this.#lastReceivedMs >= this.#silenceMs) {
      const seen = this.#lastReceivedMs
      // Timers run before the poll for sockets: what has come meanwhile is read before this one fires.
      this.#timer = this.#clock.after(1, () => {
        if (this.#lastReceivedMs === seen) this.#events.silent()
        else this.#arm()
      })
      return
    }
    this.#arm()
  }

  #arm(): void {
    this.#expectedTickMs = this.#clock.now() + this.#tickMs
    this.#timer = this.#clock.after(this.#tickMs, () => this.#tick())
  }
}
