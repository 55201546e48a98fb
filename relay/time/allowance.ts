/**
 * How often something may happen: so many at once, and so many more each second (a token bucket).
 * Without a timer: what was earned is counted when somebody asks. Pure; anyone may use it.
 */
export class Allowance {
  readonly #atOnce: number
  readonly #perSecond: number
  #left: number
  #countedMs = Number.NEGATIVE_INFINITY

  constructor(atOnce: number, perSecond: number) {
    this.#atOnce = atOnce
    this.#perSecond = perSecond
    this.#left = atOnce
  }

  /** It happens once more. False: that is too often. `nowMs`: by one clock, which never goes back. */
  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#countedMs) * this.#perSecond) / 1_000
    this.#left = Math.min(this.#atOnce, this.#left + earned)
    this.#countedMs = nowMs
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
