/**
 * The links of an endpoint to relays that are home to its peers and not to itself, which MOVED has
 * named: dialled when a stream needs one, left when none does. Used by homes.ts.
 */
import { RelayError } from '../wire/errors.ts'
import { abandonDial, type Dial, type Dialler, endDial } from './dial.ts'
import type { Link } from './link.ts'

export interface VisitsEvents {
  up(link: Link): void
  down(link: Link, error: RelayError): void
  /** That relay cannot be reached, or has gone. */
  lost(node: string): void
}

interface Visit {
  readonly urls: readonly string[]
  dial: Dial
  tries: number
  /** That relay is leaving: we go when the last of our streams has gone from there. */
  isLeaving: boolean
}

/** A visit that cannot be reached this often is dropped, and the own home asked again. */
const MAX_TRIES = 3
/**
 * A visited relay that does not answer this soon is taken for lost, ms: its endpoints are on
 * their way to another, and the directory will know before it answers.
 */
const HANDSHAKE_MS = 1_000
/** Nodes that were slow and are remembered; then all are forgotten. */
const MAX_PATIENCE = 256
/** A visit without streams is left after this long, ms. */
const IDLE_MS = 60_000

export class Visits {
  readonly #dialler: Dialler
  readonly #events: VisitsEvents
  readonly #visits = new Map<string, Visit>()
  /** How long the next visit of a node may take to begin, ms, where the last ones took too long. */
  readonly #patience = new Map<string, number>()

  constructor(dialler: Dialler, events: VisitsEvents) {
    this.#dialler = dialler
    this.#events = events
  }

  /** Whether `node` is visited, or about to be. */
  has(node: string): boolean {
    return this.#visits.has(node)
  }

  /** The link to `node`, once it is up. */
  linkTo(node: string): Link | undefined {
    const dial = this.#visits.get(node)?.dial
    return dial?.is === 'up' ? dial.link : undefined
  }

  /** `urls`: where `node` listens, tried in turn. */
  begin(node: string, urls: readonly string[]): void {
    const visit: Visit = { urls, dial: { is: 'idle' }, tries: 0, isLeaving: false }
    this.#visits.set(node, visit)
    this.#dial(node, visit)
  }

  /** Leaves relays where nothing of ours goes on. Called now and then. */
  sweep(nowMs: number): void {
    for (const visit of this.#visits.values()) {
      if (visit.dial.is !== 'up') continue
      const { link } = visit.dial
      if (visit.isLeaving && link.labels.size === 0) {
        link.close('goodbye', 'the relay is leaving, and nothing goes on here')
        continue
      }
      if (link.labels.size > 0 || nowMs - link.lastUsedMs < IDLE_MS) continue
      link.close('goodbye', 'nothing goes on here')
    }
  }

  goodbye(): void {
    for (const { dial } of this.#visits.values()) if (dial.is === 'up') dial.link.goodbye()
  }

  /** Ends all links with no word to anybody. */
  abandon(): void {
    for (const { dial } of this.#visits.values()) abandonDial(dial)
  }

  stop(): void {
    for (const { dial } of this.#visits.values()) endDial(dial)
    this.#visits.clear()
  }

  #dial(node: string, visit: Visit): void {
    const url = visit.urls[visit.tries % visit.urls.length]
    if (url === undefined) return this.#lost(node)
    visit.tries += 1
    this.#dialler.dial({
      url,
      mode: 'visit',
      limitMs: this.#patienceFor(node),
      expected: node,
      set: (dial) => {
        visit.dial = dial
      },
      up: (link) => {
        visit.tries = 0
        this.#patience.delete(node)
        this.#events.up(link)
      },
      failed: (error) => this.#failed(node, visit, error),
      down: (link, error) => {
        visit.dial = { is: 'idle' }
        this.#events.down(link, error)
        this.#failed(node, visit, error)
      },
      goAway: () => {
        visit.isLeaving = true
      },
      stay: () => {}, // a visit has nothing that it could take back
      redirected: (link) =>
        this.#failed(node, visit, new RelayError('internal', `${link.url} sent a visitor elsewhere`)),
    })
  }

  #failed(node: string, visit: Visit, error: RelayError): void {
    if (this.#dialler.isStopped || this.#visits.get(node) !== visit) return
    if (error.code === 'timeout') this.#growPatience(node)
    // It was up: whether that relay still lives, and who is at home there, the directory knows best.
    if (visit.dial.is === 'idle') return this.#lost(node)
    const isOver = error.code === 'timeout' || error.code === 'goodbye' || error.code === 'draining'
    if (isOver || visit.tries >= MAX_TRIES) return this.#lost(node)
    const { clock } = this.#dialler.options
    const timer = clock.after(this.#dialler.backoff(visit.tries), () => this.#dial(node, visit))
    visit.dial = { is: 'waiting', timer }
  }

  #lost(node: string): void {
    this.#visits.delete(node)
    this.#events.lost(node)
  }

  #patienceFor(node: string): number {
    return this.#patience.get(node) ?? HANDSHAKE_MS
  }

  /** A far relay needs longer than one that hangs is worth: twice as long at each next try. */
  #growPatience(node: string): void {
    const next = Math.min(this.#dialler.limits.handshakeMs, 2 * this.#patienceFor(node))
    if (this.#patience.size >= MAX_PATIENCE) this.#patience.clear()
    this.#patience.set(node, next)
  }
}
