/**
 * What a relay knows of one address in one class: whether it is at home here, who waits for it,
 * and who wants to hear when it is given up. Plain state; residents.ts moves it.
 */

import type { Lease } from '../directory/directory.ts'
import type { Timer } from '../time/clock.ts'
import type { TrafficClass } from '../wire/control.ts'
import type { RelayLink } from './relay-link.ts'
import type { RouteEnd } from './route.ts'

/**
 * attached: has its home link here.
 * missing: lost it, or was asked for and never seen; grace runs. `incarnation` '' when not known.
 */
export type ResidenceState =
  | { readonly is: 'attached'; readonly link: RelayLink; readonly lease: Lease }
  | {
      readonly is: 'missing'
      readonly incarnation: string
      readonly generation: number
      readonly lease: Lease | undefined
      readonly grace: Timer
    }

export class Residence {
  readonly app: string
  readonly address: string
  readonly class: TrafficClass
  state: ResidenceState
  /** OPENs and RESUMEs that wait for it. */
  readonly parked = new Set<RouteEnd>()
  /** Links to tell when an incarnation is given up. */
  readonly watchers = new Map<RelayLink, Set<string>>()
  /** How often it was looked for in the directory and found elsewhere, since the last `watch`. */
  looks = 0

  constructor(app: string, address: string, trafficClass: TrafficClass, state: ResidenceState) {
    this.app = app
    this.address = address
    this.class = trafficClass
    this.state = state
  }

  watch(link: RelayLink, incarnation: string): void {
    this.looks = 0
    const watched = this.watchers.get(link)
    if (watched === undefined) this.watchers.set(link, new Set([incarnation]))
    else watched.add(incarnation)
  }
}
