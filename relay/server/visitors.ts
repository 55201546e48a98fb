/**
 * The links over which endpoints visit, by whose they are. A visit needs no lease, so nothing but
 * this bounds how many one endpoint has: without it one token took all places of a relay. Used by
 * admission.ts, residents.ts and node.ts.
 */
import { RelayError } from '../wire/errors.ts'
import type { Attached, RelayLink } from './relay-link.ts'

/** An endpoint needs one for each class; while links are lost unnoticed, a few more. */
const MAX_VISITS = 16

export class Visitors {
  readonly #byWho = new Map<string, Set<RelayLink>>()

  /** Of one with too many the oldest is closed: an endpoint that lives uses its newest. */
  add(link: RelayLink, who: Attached): void {
    const key = keyOf(who.app, who.address)
    const own = this.#byWho.get(key)
    if (own === undefined) {
      this.#byWho.set(key, new Set([link]))
      return
    }
    own.add(link)
    if (own.size <= MAX_VISITS) return
    const [oldest] = own
    oldest?.close(new RelayError('overloaded', `more than ${MAX_VISITS} visits of one endpoint`))
  }

  /** Idempotent. */
  remove(link: RelayLink, who: Attached): void {
    const key = keyOf(who.app, who.address)
    const own = this.#byWho.get(key)
    if (own?.delete(link) === true && own.size === 0) this.#byWho.delete(key)
  }

  /** Those of one address, of both classes. */
  of(app: string, address: string): readonly RelayLink[] {
    return [...(this.#byWho.get(keyOf(app, address)) ?? [])]
  }

  /** Endpoints that visit; for tests of what is left. */
  get size(): number {
    return this.#byWho.size
  }
}

function keyOf(app: string, address: string): string {
  return `${app} ${address}`
}
