/**
 * The sums behind all streams of an endpoint: credit that is out (receiving) and bytes that are
 * kept (sending). Plain counting; who gets what is decided by the halves and the endpoint.
 */

/** Less than this is not worth a frame. */
const LEAST_GRANT_BYTES = 4096

/** Credit beyond the floors. What is taken must be given back: a test sees it at zero in the end. */
export class CreditBudget {
  #totalBytes: number
  #usedBytes = 0

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /** No more than this from now on: what a relay queues for a link of ours, bytes. Never grows again. */
  capTo(bytes: number): void {
    this.#totalBytes = Math.min(this.#totalBytes, bytes)
  }

  /** More is out than may be now. */
  get isOverdrawn(): boolean {
    return this.#usedBytes > this.#totalBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /**
   * Takes up to `bytes`; returns what was granted. Never more than half of what is free, so that
   * the first streams of many do not leave the later ones with nothing.
   */
  take(bytes: number): number {
    const free = this.#totalBytes - this.#usedBytes
    const granted = Math.max(0, Math.min(bytes, Math.floor(free / 2)))
    if (granted < bytes && granted < LEAST_GRANT_BYTES) return 0
    this.#usedBytes += granted
    return granted
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.#usedBytes < 0) throw new Error('more credit given back than was taken')
  }
}

/** Bytes kept until acknowledged, over all streams of an endpoint. */
export class SendBudget {
  readonly totalBytes: number
  readonly #floorBytes: number
  #usedBytes = 0

  constructor(totalBytes: number, floorBytes: number) {
    this.totalBytes = totalBytes
    this.#floorBytes = floorBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  add(bytes: number): void {
    this.#usedBytes += bytes
  }

  remove(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.#usedBytes < 0) throw new Error('more bytes let go than were kept')
  }

  /** Bytes that a stream which keeps `kept` may take on now, with `streams` keeping any. */
  roomFor(kept: number, streams: number): number {
    const free = this.totalBytes - this.#usedBytes
    const share = Math.max(this.#floorBytes, this.totalBytes / Math.max(1, streams))
    if (free <= 0) return Math.max(0, this.#floorBytes - kept)
    // Over its fair share a stream may still use half of what nobody uses.
    return Math.max(this.#floorBytes - kept, Math.min(free, Math.max(share - kept, free / 2)))
  }
}
