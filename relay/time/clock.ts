/**
 * Time as the core sees it. Everything under relay/ that waits takes a Clock, so that the
 * simulator can move time; only `systemClock` touches real timers. Anyone may use it.
 */

/** A pending callback. Cancelling one that has run does nothing. */
export interface Timer {
  cancel(): void
}

/** A monotonic clock in milliseconds; the zero point means nothing. */
export interface Clock {
  /** Milliseconds, monotonic, may be fractional. */
  now(): number
  /** Runs `callback` once, not before `delayMs` milliseconds from now (0 or more). */
  after(delayMs: number, callback: () => void): Timer
}

/** Real time. Its timers keep no process alive: what keeps one alive is its sockets. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}
