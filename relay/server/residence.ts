/**
 * What a relay knows of one address in one class: whether it is at home here, who waits for it,
 * and who wants to hear when it is given up. Plain state; residents.ts moves it.
 */

import type { Lease } from '../directory/directory.ts'
import { Allowance } from '../time/allowance.ts'
import type { Timer } from '../time/clock.ts'
import type { TrafficClass } from '../wire/control.ts'
import type { RelayLink } from './relay-link.ts'
import type { RouteEnd } from './route.ts'

/**
 * attached: has its home link here.
 * missing: lost it, or was asked for and never seen (then no lease of it is known); grace runs.
 */
export type ResidenceState =
  | { readonly is: 'attached'; readonly link: RelayLink; readonly lease: Lease }
  | {
      readonly is: 'missing'
      readonly lease: Lease | undefined
      readonly grace: Timer
    }

/** An address has had so many processes at most since somebody began to watch it: one that names more makes them up. */
const MAX_INCARNATIONS = 16

/**
 * Attaches of one address at once, and each second. Each costs the directory a claim, all relays a hint, and the log two
 * lines; an endpoint whose link is cut again and again waits longer each time.
 */
const ATTACHES_AT_ONCE = 100
const ATTACHES_PER_SECOND = 20

const none: ReadonlySet<RouteEnd> = new Set()
const nobody: ReadonlyMap<RelayLink, Set<string>> = new Map()

export class Residence {
  readonly app: string
  readonly address: string
  readonly class: TrafficClass
  state: ResidenceState
  // Nearly always nobody waits or watches, and it attaches once: these are made for the first who does, or does so again.
  #attaches: Allowance | undefined
  #parked: Set<RouteEnd> | undefined
  #watchers: Map<RelayLink, Set<string>> | undefined
  /** How often it was looked for in the directory and found elsewhere, since the last `watch`. */
  looks = 0
  /** Since when those who watch it have done so while it is attached, ms. */
  watchedAttachedMs = 0

  constructor(app: string, address: string, trafficClass: TrafficClass, state: ResidenceState) {
    this.app = app
    this.address = address
    this.class = trafficClass
    this.state = state
  }

  /** It attaches once more. False: that is too often. */
  takeAttach(nowMs: number): boolean {
    this.#attaches ??= new Allowance(ATTACHES_AT_ONCE, ATTACHES_PER_SECOND)
    return this.#attaches.take(nowMs)
  }

  /** OPENs and RESUMEs that wait for it. */
  get parked(): ReadonlySet<RouteEnd> {
    return this.#parked ?? none
  }
  park(end: RouteEnd): void {
    this.#parked ??= new Set()
    this.#parked.add(end)
  }
  /** False: it did not wait here. */
  unpark(end: RouteEnd): boolean {
    return this.#parked?.delete(end) ?? false
  }
  /** All that wait, who then wait no more. */
  takeParked(): readonly RouteEnd[] {
    const parked = [...this.parked]
    this.#parked = undefined
    return parked
  }

  /** Links to tell when an incarnation is given up, with those that they watch. */
  get watchers(): ReadonlyMap<RelayLink, Set<string>> {
    return this.#watchers ?? nobody
  }
  watch(link: RelayLink, incarnation: string): void {
    this.looks = 0
    this.#watchers ??= new Map()
    const watched = this.#watchers.get(link)
    if (watched !== undefined) {
      if (watched.size < MAX_INCARNATIONS) watched.add(incarnation)
      return
    }
    this.#watchers.set(link, new Set([incarnation]))
    link.watched ??= new Set()
    link.watched.add(this)
  }
  unwatch(link: RelayLink): void {
    if (this.#watchers?.delete(link) === true) link.watched?.delete(this)
  }
  /** They have been told, or it is known here no more. */
  forgetWatchers(): void {
    for (const link of this.watchers.keys()) link.watched?.delete(this)
    this.#watchers = undefined
  }
}
