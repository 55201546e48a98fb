/**
 * A relay's side of the directory: renews the leases of those at home here, tells the others how
 * much room there is, and what to do when the directory is out of reach or comes back. Used by
 * node.ts.
 */
import { DirectoryError, type NodeRecord } from '../directory/directory.ts'
import { encodeText } from '../wire/control.ts'
import { FrameType } from '../wire/header.ts'
import type { GoAwayReason, RelayMetrics } from './metrics.ts'
import { asRelayError, type NodeContext } from './node-context.ts'
import type { RelayLink } from './relay-link.ts'
import type { Residence } from './residence.ts'
import type { Residents } from './residents.ts'
import type { Retirements } from './retirements.ts'

/** How often a relay tells the others of itself, ms; and how long they believe it. */
const ANNOUNCE_MS = 1_000
const RECORD_MS = 3_500

export class LeaseKeeper {
  readonly #context: NodeContext
  readonly #residents: Residents
  readonly #retirements: Retirements
  #renewedMs: number
  /** Renewals that are due but not made, and who is next. */
  #renewalsOwed = 0
  #turn: Iterator<Residence>
  #announcedMs = 0
  #forwardedAtAnnounce = 0
  #bytesPerSecond = 0
  /** When the directory last answered. */
  #directoryMs: number

  constructor(context: NodeContext, residents: Residents, retirements: Retirements) {
    this.#context = context
    this.#residents = residents
    this.#retirements = retirements
    this.#directoryMs = context.clock.now()
    this.#renewedMs = context.clock.now()
    this.#turn = residents.all()[Symbol.iterator]()
  }

  /** Payload that goes through, bytes a second. */
  get bytesPerSecond(): number {
    return this.#bytesPerSecond
  }
  get isAnnounceDue(): boolean {
    return this.#context.clock.now() - this.#announcedMs >= ANNOUNCE_MS
  }

  /** Tells the other relays where this one is and how much room it has. */
  announce(): void {
    const now = this.#context.clock.now()
    const { urgent, bulk } = this.#context.metrics.forwardedBytes
    const seconds = (now - this.#announcedMs) / 1_000
    if (seconds > 0) this.#bytesPerSecond = Math.max(0, (urgent + bulk - this.#forwardedAtAnnounce) / seconds)
    this.#forwardedAtAnnounce = urgent + bulk
    this.#announcedMs = now
    const { node, urls } = this.#context
    if (urls.length === 0) return
    const record: NodeRecord = {
      node,
      urls,
      classes: this.#context.classes,
      links: this.#context.attachedLinks,
      bytesPerSecond: Math.round(this.#bytesPerSecond),
      isLeaving: this.#context.state !== 'serving',
    }
    this.#context.directory.announce(record, RECORD_MS)
  }

  /**
   * Renews the leases whose turn it is, so many that all have theirs in a third of a lease. Not
   * all at once: that stopped a relay with 16,000 of them for 55 ms.
   */
  renewDue(): void {
    const now = this.#context.clock.now()
    const { size } = this.#residents
    this.#renewalsOwed += (size * (now - this.#renewedMs)) / (this.#context.limits.leaseMs / 3)
    this.#renewedMs = now
    if (this.#renewalsOwed > size) this.#renewalsOwed = size
    for (; this.#renewalsOwed >= 1; this.#renewalsOwed -= 1) {
      let next = this.#turn.next()
      if (next.done) {
        this.#turn = this.#residents.all()[Symbol.iterator]()
        next = this.#turn.next()
      }
      if (!next.done) this.#renew(next.value)
    }
  }

  #renewAll(): void {
    for (const residence of this.#residents.all()) this.#renew(residence)
  }

  #renew(residence: Residence): void {
    const { state } = residence
    if (state.is !== 'attached') return
    const key = { app: residence.app, address: residence.address, class: residence.class }
    this.#context.directory.renew(key, state.lease, this.#context.limits.leaseMs).then(
      (lease) => {
        if (residence.state === state) residence.state = { is: 'attached', link: state.link, lease }
      },
      (cause: unknown) => {
        if (cause instanceof DirectoryError && cause.code !== 'unavailable' && residence.state === state) {
          state.link.close(asRelayError(cause))
        } else this.#context.metrics.directoryFailures += 1
      },
    )
  }

  /**
   * Cut off from the directory for half a lease: others will soon take our endpoints for lost, so
   * they are asked to move. They do when another relay can write their lease; when none can, they stay.
   */
  watch(now: number): void {
    if (this.#context.directory.isReachable) {
      this.#directoryMs = now
      this.#endCutOff()
    } else if (
      !this.#context.isCutOff &&
      this.#context.state === 'serving' &&
      now - this.#directoryMs > this.#context.limits.leaseMs / 2
    ) {
      this.#context.isCutOff = true
      this.#context.log.warn(
        { forMs: now - this.#directoryMs },
        'cut off from the directory: asks endpoints to move',
      )
      for (const link of this.#residents.homeLinks())
        askToGo(
          this.#context.metrics,
          link,
          'cut-off',
          this.#context.limits.leaseMs / 2,
          'this relay is cut off from its directory',
        )
    }
  }

  #endCutOff(): void {
    if (!this.#context.isCutOff) return
    this.#context.isCutOff = false
    this.#context.log.info({}, 'the directory is back: endpoints may stay')
    if (this.#context.state !== 'serving') return
    for (const link of this.#residents.homeLinks())
      link.send(encodeText(FrameType.stay, 0, 'the directory is back'))
  }

  /** It may have forgotten all that it knew: what we hold is written again, at once. */
  returned(): void {
    this.#context.returnedMs = this.#context.clock.now()
    this.#retirements.untell()
    this.tellRetired()
    this.#renewAll()
    this.announce()
    this.watch(this.#context.clock.now())
  }

  /** Tells the directory of retirements that it does not have: now, and from housekeeping until it has taken them. */
  tellRetired(): void {
    // Each would only be refused, and there may be thousands: once it is back, returned() tells them.
    if (!this.#context.directory.isReachable) return
    for (const retirement of this.#retirements.untold()) {
      const { app, address, generation } = retirement
      this.#retirements.tell(retirement, 'on its way')
      this.#context.directory.retire(app, address, generation).then(
        () => this.#retirements.tell(retirement, 'yes'),
        () => {
          this.#retirements.tell(retirement, 'no')
          this.#context.metrics.directoryFailures += 1
        },
      )
    }
  }
}

/** What a relay that drains says to those that are to move. */
export const LEAVING = 'this relay is leaving'

/** Asks the endpoint of a link to move elsewhere within `leftMs`. */
export function askToGo(
  metrics: RelayMetrics,
  link: RelayLink,
  why: GoAwayReason,
  leftMs: number,
  sentence: string,
): void {
  metrics.goAways[why] += 1
  link.send(encodeText(FrameType.goAway, leftMs, sentence))
}
