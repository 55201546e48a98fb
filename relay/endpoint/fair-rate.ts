/**
 * How fast an endpoint's streams are delivered, all together, and what of it would be one
 * stream's fair share. Windows that follow only their own stream's speed keep whatever share
 * they once had: who was first stays ahead (the slowest of 16 streams got 0.2 to 0.5 of the mean).
 * A window that holds at least the fair share lets those behind catch up. Pure; used by receive-half.ts.
 */

/**
 * The smallest round trip seen to one peer, ms. All streams with it share one: measured by each on
 * its own beside 15 others, it came out between 5 and 10 ms on one path, and windows as unequal.
 */
export interface RoundTrip {
  ms: number
}

/** Until one was measured, ms: too high only delays the first growth of a window. */
export const UNKNOWN_ROUND_TRIP_MS = 1_000

/** Length of a stretch over which speed is taken, ms: a few turns of a busy event loop. */
const STRETCH_MS = 20
/** A stretch this long has a pause in it and says nothing, ms. */
const STALE_MS = 200

export class FairRate {
  #startMs = 0
  #bytes = 0
  #streams = 0
  /** Number of the stretch; 0 is none. */
  #stretch = 1
  #bytesAMs = 0

  /**
   * `bytes` of a stream were delivered. `lastStretch`: what this returned for the same stream
   * before, so that each stream counts once a stretch; 0 to begin with.
   */
  add(bytes: number, lastStretch: number): number {
    this.#bytes += bytes
    if (lastStretch !== this.#stretch) this.#streams += 1
    return this.#stretch
  }

  /** What each stream that moves now would get if all got the same, bytes a ms. */
  share(nowMs: number): number {
    const elapsed = nowMs - this.#startMs
    if (elapsed >= STRETCH_MS) {
      this.#bytesAMs = elapsed < STALE_MS && this.#streams > 0 ? this.#bytes / elapsed / this.#streams : 0
      this.#startMs = nowMs
      this.#bytes = 0
      this.#streams = 0
      this.#stretch += 1
    }
    return this.#bytesAMs
  }
}
