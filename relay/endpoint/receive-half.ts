/**
 * The receiving half of a stream: what has come, what has left for the local program, and how
 * much the peer may send. Pure: decides when to acknowledge and what credit to ask for;
 * stream.ts sends it.
 *
 *   delivered <= received <= limit        window = limit - delivered
 */
import { violation } from '../wire/errors.ts'
import type { CreditBudget } from './credit.ts'
import { type FairRate, type RoundTrip, UNKNOWN_ROUND_TRIP_MS } from './fair-rate.ts'

/**
 * On a fast network a busy event loop, not the wire, is the round trip: with the measured
 * 0.3 ms a window would stay so small that each turn of the loop empties it.
 */
const LEAST_ROUND_TRIP_MS = 6

/**
 * Least stretch over which a stream's speed is taken, ms. Bytes come in bursts, as processes get
 * their turns: over one round trip of 6 ms some streams seemed four times as fast as they were,
 * got four times the window, and kept it.
 */
const LEAST_STRETCH_MS = 50

/**
 * A window is acknowledged and renewed in so many parts. With two, bytes that come in large pieces
 * settle into one renewal a round trip (the second is short by a few bytes, and waits for data
 * that waits for credit): half the window lies idle, and a rate of half a window a round trip
 * never asks for a larger one. One stream over 20 ms stood at 256 KiB and 10 MiB/s.
 */
const RENEWALS = 4

/**
 * Most that a sender waits to hear of, bytes. A quarter of 16 MiB is 11 ms at 360 MiB/s: over a round
 * trip of 20 ms one stream had 16 MiB under way, and stood still for want of credit.
 */
const MOST_UNRENEWED_BYTES = 1024 * 1024

/** open: bytes may come. finished: FIN came, all delivered or on its way. dead: reset. */
export type ReceiveState = 'open' | 'finished' | 'dead'

export class ReceiveHalf {
  #state: ReceiveState = 'open'
  #received = 0
  #delivered = 0
  #ackSent = 0
  #limit: number
  #finAt = -1
  #finAckSent = false
  /** What we would like to have out beyond `delivered`, bytes. Grows with the stream's speed. */
  #window: number
  readonly #maxWindow: number
  readonly #floor: number
  readonly #budget: CreditBudget
  /** Part of limit - delivered that is charged to the budget. */
  #charged = 0
  /** RECLAIM was sent with this limit and not answered; -1: none. */
  #reclaiming = -1
  /** Smallest time from a grant to the first byte beyond the old limit. */
  readonly #roundTrip: RoundTrip
  #grantedAtMs = 0
  #grantedFrom = 0
  /** A stretch of delivery, for the rate. */
  #stretchStartMs = 0
  #stretchStartAt = 0
  #lastDataMs = 0
  readonly #fairRate: FairRate
  /** The stretch of #fairRate in which this stream was counted. */
  #countedIn = 0

  /** `window`: bytes to begin with; `roundTrip`: to the peer, a guess that is too high until one was measured. */
  constructor(
    budget: CreditBudget,
    fairRate: FairRate,
    floor: number,
    window: number,
    maxWindow: number,
    roundTrip: RoundTrip,
  ) {
    this.#budget = budget
    this.#fairRate = fairRate
    this.#floor = floor
    this.#window = Math.max(floor, window)
    this.#maxWindow = Math.max(floor, maxWindow)
    this.#roundTrip = roundTrip
    this.#limit = 0
    this.#raise(this.#window, 1)
  }

  get state(): ReceiveState {
    return this.#state
  }
  get received(): number {
    return this.#received
  }
  get delivered(): number {
    return this.#delivered
  }
  get limit(): number {
    return this.#limit
  }
  get window(): number {
    return this.#window
  }
  get isReclaiming(): boolean {
    return this.#reclaiming >= 0
  }
  get lastDataMs(): number {
    return this.#lastDataMs
  }
  /** Credit out beyond the floor: what a RECLAIM could bring back. */
  get spareCredit(): number {
    return this.#limit - Math.max(this.#received, this.#delivered + this.#floor)
  }
  /** FIN came and everything before it has left for the local program. */
  get canAckFin(): boolean {
    return this.#state === 'finished' && !this.#finAckSent && this.#delivered === this.#finAt
  }
  get isFinAcked(): boolean {
    return this.#finAckSent
  }
  get finAt(): number {
    return this.#finAt
  }

  /** A better figure for the round trip, ms. */
  noteRoundTrip(ms: number): void {
    if (ms < this.#roundTrip.ms) this.#roundTrip.ms = ms
  }

  /**
   * The peer hears now that it may send: its first byte comes a round trip later, and before there is
   * a queue of bytes that would be measured with it.
   */
  noteFirstGrant(nowMs: number): void {
    this.#grantedAtMs = nowMs
    this.#grantedFrom = 0
  }

  /**
   * Bytes `offset` to `offset + length` came. Returns how many of them, at the end, are new.
   * Throws `violation` for a gap or an overrun: on one route neither can be.
   */
  accept(offset: number, length: number, nowMs: number): number {
    if (offset > this.#received) throw violation(`DATA at ${offset}, expected ${this.#received}`)
    const end = offset + length
    if (end > this.#limit) throw violation(`DATA to ${end}, credit ends at ${this.#limit}`)
    if (this.#state === 'finished' && end > this.#finAt)
      throw violation(`DATA to ${end} behind FIN at ${this.#finAt}`)
    if (end <= this.#received) return 0
    const fresh = end - this.#received
    this.#received = end
    this.#lastDataMs = nowMs
    if (this.#grantedAtMs > 0 && end > this.#grantedFrom) {
      this.noteRoundTrip(nowMs - this.#grantedAtMs)
      this.#grantedAtMs = 0
    }
    return fresh
  }

  /** FIN at `offset`. Returns whether it is the first. Throws `violation` when bytes are missing before it. */
  finish(offset: number): boolean {
    if (offset !== this.#received) throw violation(`FIN at ${offset}, received ${this.#received}`)
    if (this.#state !== 'open') return false
    this.#state = 'finished'
    this.#finAt = offset
    return true
  }

  /** `bytes` more have left for the local program. */
  markDelivered(bytes: number): void {
    this.#delivered += bytes
    this.#countedIn = this.#fairRate.add(bytes, this.#countedIn)
    if (this.#delivered > this.#received) throw new Error('delivered more than was received')
    this.#settle()
  }

  /** So much more delivered is worth an ACK and a CREDIT. */
  get #renewalBytes(): number {
    return Math.min(this.#window / RENEWALS, MOST_UNRENEWED_BYTES)
  }

  /** Enough is delivered that waiting longer would slow the sender. */
  get isAckUrgent(): boolean {
    return this.#delivered - this.#ackSent >= this.#renewalBytes
  }
  get hasAckToSend(): boolean {
    return this.#delivered > this.#ackSent
  }
  /** The offset to acknowledge; from now on it counts as sent. */
  takeAck(): number {
    this.#ackSent = this.#delivered
    return this.#delivered
  }
  /** FIN_ACK goes out. */
  markFinAckSent(): void {
    this.#finAckSent = true
    this.#ackSent = this.#delivered
  }

  /**
   * Renews credit after delivery. Returns the new limit to grant, or -1 when it is not worth a
   * frame yet or the budget has none left (`wants` tells which).
   */
  takeCredit(nowMs: number): number {
    if (this.#state !== 'open' || this.#reclaiming >= 0) return -1
    this.#tune(nowMs)
    const before = this.#limit
    const wanted = this.#delivered + this.#window
    if (wanted - before < this.#renewalBytes) return -1
    // A starved stream is granted its floor in halves, not byte by byte.
    if (!this.#raise(wanted, Math.min(this.#window, this.#floor) / 2)) return -1
    this.#grantedAtMs = nowMs
    this.#grantedFrom = before
    return this.#limit
  }

  /** It would take more credit than the budget gave. */
  get isStarved(): boolean {
    return (
      this.#state === 'open' &&
      this.#reclaiming < 0 &&
      (this.#delivered + this.#window - this.#limit) * 2 >= this.#window
    )
  }

  /** The limit to ask the sender to go down to. From now on nothing is granted until it answers. */
  startReclaim(): number {
    this.#reclaiming = Math.max(this.#received, this.#delivered + this.#floor)
    return this.#reclaiming
  }

  /** The sender's answer to RECLAIM. Throws `violation` for a limit that was never granted. */
  reclaimed(limit: number): void {
    if (this.#reclaiming < 0 || limit > this.#limit || limit < this.#received) {
      throw violation(`RECLAIMED at ${limit}, received ${this.#received}, credit ${this.#limit}`)
    }
    this.#reclaiming = -1
    this.#limit = limit
    this.#window = Math.max(this.#floor, Math.min(this.#window, this.#floor * 4))
    this.#settle()
  }

  /** A new route: states what has come and what is allowed; earlier acknowledgements are repeated by it. */
  restate(): { received: number; limit: number } {
    if (this.#reclaiming >= 0) {
      this.#limit = Math.max(this.#received, Math.min(this.#limit, this.#reclaiming))
      this.#reclaiming = -1
      this.#settle()
    }
    // The sender goes on from `received`, so what it has not used may be taken back.
    if (this.#budget.isOverdrawn && this.#state === 'open') {
      this.#limit = Math.max(this.#received, this.#delivered + this.#floor)
      this.#settle()
    }
    this.#grantedAtMs = 0
    this.#roundTrip.ms = UNKNOWN_ROUND_TRIP_MS // of the old way; the new one may be longer
    // The sender takes `received` for acknowledged, so a FIN_ACK must be said again, an ACK need not.
    if (this.#finAckSent) this.#finAckSent = false
    return { received: this.#received, limit: this.#limit }
  }

  /** Nothing more comes or is delivered; the budget gets everything back. */
  kill(): void {
    this.#state = 'dead'
    this.#delivered = this.#received
    this.#limit = this.#received
    this.#settle()
  }

  /** Window towards 2 x rate x round trip: a sender that the window holds back doubles it each round trip. */
  #tune(nowMs: number): void {
    const roundTripMs = Math.max(this.#roundTrip.ms, LEAST_ROUND_TRIP_MS)
    const elapsed = nowMs - this.#stretchStartMs
    if (elapsed < Math.max(2 * roundTripMs, LEAST_STRETCH_MS)) return
    const delivered = this.#delivered - this.#stretchStartAt
    // A stretch that began before a pause says nothing of the speed now.
    if (elapsed < 4 * roundTripMs + 100) {
      const bytesAMs = Math.max(delivered / elapsed, this.#fairRate.share(nowMs))
      const target = Math.ceil(2 * bytesAMs * roundTripMs)
      if (target > this.#window) this.#window = Math.min(target, this.#maxWindow)
    }
    this.#stretchStartMs = nowMs
    this.#stretchStartAt = this.#delivered
  }

  /** Raises the limit towards `wanted` as far as floor and budget allow, if that is by `least` or more. */
  #raise(wanted: number, least: number): boolean {
    const free = this.#delivered + this.#floor
    const more = wanted - free - this.#charged
    const taken = more > 0 ? this.#budget.take(more) : 0
    const limit = Math.min(wanted, free + this.#charged + taken)
    if (limit - this.#limit < least) {
      this.#budget.give(taken)
      return false
    }
    this.#charged += taken
    this.#limit = limit
    this.#settle()
    return true
  }

  /** Gives the budget back what delivery, FIN or a lower limit has freed. */
  #settle(): void {
    const floorEnd = this.#delivered + this.#floor
    const needed =
      this.#state === 'open' ? Math.max(0, this.#limit - floorEnd) : Math.max(0, this.#received - floorEnd)
    if (needed < this.#charged) {
      this.#budget.give(this.#charged - needed)
      this.#charged = needed
    }
  }
}
