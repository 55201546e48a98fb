/**
 * Log lines of a kind that a peer makes at no cost of its own: handshakes that are refused, visits
 * that end. Lines are written synchronously and the peer decides how often it comes, so a burst is
 * logged line by line and the rest as one sum every few seconds. Counters have all. Used by node.ts.
 */
import { Allowance } from '../time/allowance.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { RelayLog } from './node-context.ts'

/** Lines that may come at once, and how many more each second. */
const BURST_LINES = 50
const LINES_PER_SECOND = 2
const SUM_MS = 10_000

export class BurstLog {
  readonly #log: RelayLog
  readonly #clock: Clock
  readonly #sumSays: string
  readonly #lines = new Allowance(BURST_LINES, LINES_PER_SECOND)
  readonly #unlogged = new Map<string, number>()
  #sumTimer: Timer | undefined

  /** `sumSays`: the sentence of the sum. */
  constructor(log: RelayLog, clock: Clock, sumSays: string) {
    this.#log = log
    this.#clock = clock
    this.#sumSays = sumSays
  }

  /** `reason`: what the sum counts by, out of a closed list. */
  warn(reason: string, fields: object, message: string): void {
    if (!this.#lines.take(this.#clock.now())) {
      this.#unlogged.set(reason, (this.#unlogged.get(reason) ?? 0) + 1)
      this.#sumTimer ??= this.#clock.after(SUM_MS, () => this.#sum())
      return
    }
    this.#log.warn(fields, message)
  }

  #sum(): void {
    this.#sumTimer = undefined
    const reasons = Object.fromEntries(this.#unlogged)
    this.#log.warn({ reasons }, this.#sumSays)
    this.#unlogged.clear()
  }

  /** Says what is left to say. */
  close(): void {
    this.#sumTimer?.cancel()
    if (this.#sumTimer !== undefined) this.#sum()
  }
}
