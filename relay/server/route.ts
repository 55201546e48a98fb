/**
 * A route: two ends, each a label on a link, that forward to each other. Parked ends wait for
 * the other side to be found. Used by relay-link.ts (the hot path) and node.ts.
 */
import type { RelayLink } from './relay-link.ts'

/** What a parked end asked for. */
export type Ask =
  | {
      readonly is: 'open'
      readonly to: string
      readonly port: number
      readonly id: number
      readonly limit: number
    }
  | {
      readonly is: 'resume'
      readonly to: string
      /** Expected of the peer; '' when not known yet. */
      readonly incarnation: string
      readonly id: number
      readonly generation: number
      readonly received: number
      readonly limit: number
      readonly port: number
    }

/** What was asked of an acceptor. */
export type Owed =
  | { readonly is: 'opened'; readonly limit: number }
  | { readonly is: 'resumed'; readonly limit: number; readonly generation: number }

/** One label on one link. */
export class RouteEnd {
  readonly link: RelayLink
  readonly label: number
  /** The other side; undefined while parked. */
  other: RouteEnd | undefined
  /** Why it waits, while it waits. */
  ask: Ask | undefined
  /** Credit: DATA that comes from this end may reach up to here. */
  limit = 0
  /** The answer that this end owes, and the credit that holds for it from then on. Until then only RESET may pass. */
  owes: Owed | undefined

  constructor(link: RelayLink, label: number, ask?: Ask) {
    this.link = link
    this.label = label
    this.ask = ask
  }
}

/** Makes one route of two ends. */
export function join(a: RouteEnd, b: RouteEnd): void {
  a.other = b
  b.other = a
  a.ask = undefined
  b.ask = undefined
}
