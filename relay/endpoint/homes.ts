/**
 * Over which link an address is reached: our own home's, or a visit to the relay that MOVED has
 * named. What flows over the links is endpoint.ts's business, which alone uses this, with opener.ts.
 */
import type { Moved } from '../wire/control.ts'
import type { RelayError } from '../wire/errors.ts'
import { Dialler, nodeOf } from './dial.ts'
import { Home } from './home.ts'
import type { Link, LinkEvents } from './link.ts'
import type { EndpointLimits, EndpointOptions } from './types.ts'
import { Visits } from './visits.ts'
import { Whereabouts } from './whereabouts.ts'

export interface HomesEvents {
  linkUp(link: Link, isHome: boolean): void
  linkDown(link: Link, isHome: boolean, error: RelayError): void
  readonly control: LinkEvents['control']
  /** Its way was lost, and the time has come to ask our own home for it. */
  askAgain(address: string): void
  /** Refused for good, or no relay for `noRelayMs`. */
  failed(error: RelayError): void
}

export class Homes {
  readonly #events: HomesEvents
  readonly #dialler: Dialler
  readonly #home: Home
  readonly #visits: Visits
  readonly #whereabouts: Whereabouts

  constructor(options: EndpointOptions, limits: EndpointLimits, events: HomesEvents) {
    this.#events = events
    this.#dialler = new Dialler(options, limits, events.control)
    this.#whereabouts = new Whereabouts(
      options.clock,
      (losses) => this.#dialler.backoff(losses),
      (address) => events.askAgain(address),
    )
    this.#visits = new Visits(this.#dialler, {
      up: (link) => events.linkUp(link, false),
      down: (link, error) => events.linkDown(link, false, error),
      // Whoever was reached there is asked for again at our home, where the directory is known.
      lost: (node) => this.#whereabouts.loseAllAt(node),
    })
    this.#home = new Home(this.#dialler, {
      up: (link) => events.linkUp(link, true),
      down: (link, wasHome, error) => events.linkDown(link, wasHome, error),
      failed: (error) => events.failed(error),
    })
  }

  start(): void {
    this.#home.start()
  }

  /** The link over which `address` is reached, if there is one now. */
  linkTo(address: string): Link | undefined {
    const known = this.#whereabouts.of(address)
    if (known?.is === 'lost') return undefined
    if (known !== undefined && known.node !== this.#home.node) {
      if (this.#visits.has(known.node)) return this.#visits.linkTo(known.node)
      this.#whereabouts.forget(address)
    }
    return this.#home.link
  }

  /** The relay of `link` says where an address is at home: that relay is visited. */
  moved(link: Link, moved: Moved): void {
    const before = this.#whereabouts.of(moved.to)
    if (!this.#whereabouts.moved(nodeOf(link), moved)) return
    if (moved.node === this.#home.node || this.#visits.has(moved.node)) {
      // Streams may wait for a visit of where it was before, which nobody needs any more.
      if (before?.is === 'at' && before.node !== moved.node) this.#events.askAgain(moved.to)
      return
    }
    this.#visits.begin(moved.node, moved.urls)
  }

  /** A stream to `address` got through: what MOVED said holds. */
  reached(address: string): void {
    this.#whereabouts.reached(address)
  }

  /** Leaves relays where nothing of ours goes on. Called now and then. */
  sweep(nowMs: number): void {
    this.#visits.sweep(nowMs)
  }

  /**
   * Sends a RETIRE now, and again to every new home: nobody confirms it, and a relay that started
   * again has forgotten it.
   */
  retire(frame: Buffer): void {
    this.#home.retire(frame)
  }

  goodbye(): void {
    this.#home.goodbye()
    this.#visits.goodbye()
  }

  /** Ends all links with no word to anybody. */
  abandon(): void {
    this.#home.abandon()
    this.#visits.abandon()
  }

  stop(): void {
    this.#dialler.stop()
    this.#whereabouts.stop()
    this.#home.stop()
    this.#visits.stop()
  }
}
