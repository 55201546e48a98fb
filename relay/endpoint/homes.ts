/**
 * The links of an endpoint: one to its home, which it keeps at all times, and visits to the
 * homes of others that MOVED has named. Dials, backs off, replaces. What flows over the links
 * is endpoint.ts's business.
 */
import type { Timer } from '../time/clock.ts'
import type { Moved } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import { VERSION_MAX, VERSION_MIN } from '../wire/header.ts'
import { type Dial, dialLink, endDial } from './dial.ts'
import type { Link, LinkTuning } from './link.ts'
import type { EndpointLimits, EndpointOptions } from './types.ts'
import { Whereabouts } from './whereabouts.ts'

export interface HomesEvents {
  linkUp(link: Link, isHome: boolean): void
  linkDown(link: Link, isHome: boolean, error: RelayError): void
  control(link: Link, type: number, label: number, offset: number, payload: Buffer): void
  /** Its way was lost, and the time has come to ask our own home for it. */
  askAgain(address: string): void
  /** Refused for good, or no relay for `noRelayMs`. */
  failed(error: RelayError): void
}

/** A relay that is home to some of our peers, not to us. */
interface Visit {
  readonly urls: readonly string[]
  dial: Dial
  tries: number
  /** That relay is leaving: we go when the last of our streams has gone from there. */
  isLeaving: boolean
}

/** A visit that cannot be reached this often is dropped, and the own home asked again. */
const MAX_VISIT_TRIES = 3
/**
 * A visited relay that does not answer this soon is taken for lost, ms: its endpoints are on
 * their way to another, and the directory will know before it answers.
 */
const VISIT_HANDSHAKE_MS = 1_000
/** Nodes that were slow and are remembered; then all are forgotten. */
const MAX_PATIENCE = 256
/** Addresses whose end every new home is told; the oldest are forgotten first. */
const MAX_RETIREMENTS = 4_096
/** A relay that sends us on, and the next one too: after so many something is wrong, and we wait as after a failure. */
const MAX_PLACEMENTS = 4
/**
 * Whoever has just lost its home does not wait long for a relay that says nothing, ms: there are
 * others. Once all were tried, the full time of a handshake is given.
 */
const NEXT_HOME_MS = 2_000
/** How long an old home may take to send our peers to the new one, ms. */
const PARTING_MS = 1_000
/** While an old home still serves us beyond the time that it gave, trying for a new one may be this much slower. */
const UNHURRIED = 5
/** A visit without streams is left after this long, ms. */
const IDLE_VISIT_MS = 60_000

export class Homes {
  readonly #options: EndpointOptions
  readonly #limits: EndpointLimits
  readonly #events: HomesEvents
  readonly #tuning: LinkTuning
  #home: Dial = { is: 'idle' }
  /** The link that is being replaced keeps working until its successor is up. */
  #leaving: Link | undefined
  /** Until then it serves us for certain: a relay that is cut off from the directory cannot keep our lease for longer. */
  #leaveByMs = 0
  #homeless: Timer | undefined
  #nextUrl: number
  #failures = 0
  #counter = 0
  /** The old link after there is a new one: its streams go on until they have another way. */
  #parting: { readonly link: Link; readonly timer: Timer } | undefined
  /** Numbers the dials for a home: what is heard from an older one means nothing. */
  #homeDial = 0
  /** How often in a row relays have sent us on; once it was tried, we ask to be taken where we knock. */
  #placements = 0
  /** The relay that we wanted to leave has taken that back. */
  #mayStay = false
  /** Where the home was that was lost last: the last place to try. */
  #lostUrl: string | undefined
  #isStopped = false
  readonly #visits = new Map<string, Visit>()
  /** How long the next visit of a node may take to begin, ms, where the last ones took too long. */
  readonly #patience = new Map<string, number>()
  readonly #whereabouts: Whereabouts
  readonly #retirements: Buffer[] = []

  constructor(options: EndpointOptions, limits: EndpointLimits, events: HomesEvents) {
    this.#options = options
    this.#limits = limits
    this.#events = events
    this.#whereabouts = new Whereabouts(
      options.clock,
      (losses) => this.#backoff(losses),
      (address) => events.askAgain(address),
    )
    const isUrgent = options.class === 'urgent'
    this.#tuning = {
      keepaliveMs: limits.keepaliveMs,
      silenceMs: limits.silenceMs,
      handshakeMs: limits.handshakeMs,
      quantumBytes: isUrgent ? 16 * 1024 : 256 * 1024,
      highWaterBytes: isUrgent ? 64 * 1024 : 512 * 1024,
    }
    this.#nextUrl = Math.floor(options.random() * options.relays.length)
  }

  start(): void {
    this.#becomeHomeless()
    this.#dialHome()
  }

  /** The link over which `address` is reached, if there is one now. */
  linkTo(address: string): Link | undefined {
    const known = this.#whereabouts.of(address)
    if (known?.is === 'lost') return undefined
    if (known !== undefined && known.node !== this.#homeNode()) {
      const visit = this.#visits.get(known.node)
      if (visit !== undefined) return visit.dial.is === 'up' ? visit.dial.link : undefined
      this.#whereabouts.forget(address)
    }
    if (this.#leaving?.isUp) return this.#leaving
    return this.#home.is === 'up' ? this.#home.link : undefined
  }

  /** The relay of `link` says where an address is at home: that relay is visited. */
  moved(link: Link, moved: Moved): void {
    const before = this.#whereabouts.of(moved.to)
    if (!this.#whereabouts.moved(nodeOf(link), moved)) return
    if (moved.node === this.#homeNode() || this.#visits.has(moved.node)) {
      // Streams may wait for a visit of where it was before, which nobody needs any more.
      if (before?.is === 'at' && before.node !== moved.node) this.#events.askAgain(moved.to)
      return
    }
    const visit: Visit = { urls: moved.urls, dial: { is: 'idle' }, tries: 0, isLeaving: false }
    this.#visits.set(moved.node, visit)
    this.#dialVisit(moved.node, visit)
  }

  /** A stream to `address` got through: what MOVED said holds. */
  reached(address: string): void {
    this.#whereabouts.reached(address)
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
      if (link.labels.size > 0 || nowMs - link.lastUsedMs < IDLE_VISIT_MS) continue
      link.close('goodbye', 'nothing goes on here')
    }
  }

  /**
   * Sends a RETIRE now, and again to every new home: nobody confirms it, and a relay that started
   * again has forgotten it.
   */
  retire(frame: Buffer): void {
    this.#retirements.push(frame)
    if (this.#retirements.length > MAX_RETIREMENTS) this.#retirements.shift()
    if (this.#home.is === 'up') this.#home.link.sendFrame(frame)
  }

  goodbye(): void {
    this.#leaving?.goodbye()
    this.#parting?.link.goodbye()
    if (this.#home.is === 'up') this.#home.link.goodbye()
    for (const visit of this.#visits.values()) if (visit.dial.is === 'up') visit.dial.link.goodbye()
  }

  /** Ends all links with no word to anybody. */
  abandon(): void {
    const dials = [this.#home, ...[...this.#visits.values()].map((visit) => visit.dial)]
    for (const dial of dials) if (dial.is === 'shaking' || dial.is === 'up') dial.link.abandon()
    this.#leaving?.abandon()
    this.#parting?.link.abandon()
  }

  stop(): void {
    this.#isStopped = true
    this.#homeless?.cancel()
    this.#whereabouts.stop()
    for (const dial of [this.#home, ...[...this.#visits.values()].map((visit) => visit.dial)]) endDial(dial)
    this.#leaving?.close('goodbye', 'the endpoint is over')
    this.#endParting()
    this.#home = { is: 'idle' }
    this.#visits.clear()
  }

  // ---- home ----

  #homeNode(): string | undefined {
    if (this.#leaving?.isUp) return nodeOf(this.#leaving)
    return this.#home.is === 'up' ? nodeOf(this.#home.link) : undefined
  }

  #becomeHomeless(): void {
    this.#homeless ??= this.#options.clock.after(this.#limits.noRelayMs, () => {
      const tried = this.#options.relays.join(', ')
      this.#fail(
        new RelayError('timeout', `no relay was reached for ${this.#limits.noRelayMs} ms; tried ${tried}`),
      )
    })
  }

  #dialHome(url = this.#nextHome()): void {
    if (this.#isStopped) return
    this.#homeDial += 1
    const dial = this.#homeDial
    this.#dial(
      url,
      'attach',
      (to) => {
        if (dial === this.#homeDial) this.#home = to
      },
      (error) => {
        if (dial === this.#homeDial) this.#homeFailed(error)
      },
    )
  }

  /** Relays in turn; where the home was that we have just lost, or are to leave, only when there is no other. */
  #nextHome(): string {
    const { relays } = this.#options
    const next = (): string => {
      const url = relays[this.#nextUrl % relays.length] as string
      this.#nextUrl += 1
      return url
    }
    const url = next()
    const isLost = url === this.#lostUrl && (this.#failures < relays.length || this.#leaving?.isUp === true)
    return isLost && relays.length > 1 ? next() : url
  }

  get #homeLimitMs(): number {
    const { relays } = this.#options
    const isHurried = this.#lostUrl !== undefined && relays.length > 1 && this.#failures < relays.length
    return isHurried ? NEXT_HOME_MS : this.#limits.handshakeMs
  }

  /**
   * Asks to be taken by the relay that it dials: it was sent there, or has lost its home and failed to
   * get another. Its grace runs, and where there is more room may be the relay that does not answer.
   */
  get #staysWhereItKnocks(): boolean {
    const isPressed = this.#lostUrl !== undefined && this.#leaving?.isUp !== true && this.#failures > 0
    return this.#placements > 0 || isPressed
  }

  #homeUp(link: Link): void {
    this.#home = { is: 'up', link }
    this.#homeless?.cancel()
    this.#homeless = undefined
    this.#failures = 0
    this.#placements = 0
    this.#lostUrl = undefined
    const old = this.#leaving
    this.#leaving = undefined
    for (const frame of this.#retirements) link.sendFrame(frame)
    if (old !== undefined) this.#partFrom(old)
    this.#events.linkUp(link, true)
  }

  /** The old relay sends those who opened streams to us to our new home, and ends the link. If not, we do. */
  #partFrom(link: Link): void {
    this.#endParting()
    const timer = this.#options.clock.after(PARTING_MS, () => this.#endParting())
    this.#parting = { link, timer }
  }

  #endParting(): void {
    const parting = this.#parting
    this.#parting = undefined
    parting?.timer.cancel()
    parting?.link.close('superseded', 'moved to another link')
  }

  /** The relay knows a better home for us. */
  #homeElsewhere(moved: Moved): void {
    if (this.#isStopped) return
    this.#placements += 1
    const url = moved.urls[0]
    if (url !== undefined && this.#placements <= MAX_PLACEMENTS) return this.#dialHome(url)
    this.#homeFailed(new RelayError('draining', 'relays send us from one to the next'))
  }

  #homeFailed(error: RelayError): void {
    if (this.#isStopped) return
    if (error.retry === 'never') return this.#fail(error)
    if (this.#mayStay && this.#leaving?.isUp) return this.#stay(this.#leaving)
    const isUnhurried = this.#leaving?.isUp === true && this.#options.clock.now() > this.#leaveByMs
    const backoff = this.#backoff(this.#failures) * (isUnhurried ? UNHURRIED : 1)
    const wait = error.retry === 'at-once' && this.#failures === 0 ? 0 : backoff
    this.#failures += 1
    const timer = this.#options.clock.after(wait, () => this.#dialHome())
    this.#home = { is: 'waiting', timer }
  }

  #homeDown(link: Link, error: RelayError): void {
    if (this.#isStopped) return
    this.#becomeHomeless()
    this.#home = { is: 'idle' }
    this.#lostUrl = link.url
    this.#events.linkDown(link, true, error)
    this.#homeFailed(error)
  }

  /** The relay wants us to leave: dial a successor before the link goes. */
  #goAway(link: Link, leftMs: number): void {
    if (this.#isStopped) return
    for (const visit of this.#visits.values()) {
      if (visit.dial.is === 'up' && visit.dial.link === link) visit.isLeaving = true
    }
    if (this.#home.is !== 'up' || this.#home.link !== link) {
      if (link === this.#leaving) this.#mayStay = false
      return
    }
    this.#leaving = link
    this.#leaveByMs = this.#options.clock.now() + leftMs
    this.#mayStay = false
    this.#lostUrl = link.url
    this.#home = { is: 'idle' }
    this.#dialHome()
  }

  /** It has taken that back. A handshake that is under way is not broken off: its lease may be written. */
  #mayStayAt(link: Link): void {
    if (link !== this.#leaving || !link.isUp) return
    this.#mayStay = true
    if (this.#home.is === 'waiting' || this.#home.is === 'dialling') this.#stay(link)
  }

  #stay(link: Link): void {
    this.#homeDial += 1 // whatever comes of the dial is not our home
    endDial(this.#home)
    this.#leaving = undefined
    this.#mayStay = false
    this.#failures = 0
    this.#placements = 0
    this.#lostUrl = undefined
    this.#home = { is: 'up', link }
  }

  /** The old home is gone before there was a new one. */
  #leavingDown(link: Link, error: RelayError): void {
    this.#leaving = undefined
    this.#mayStay = false
    if (this.#isStopped) return
    this.#becomeHomeless()
    this.#events.linkDown(link, true, error)
    if (this.#home.is !== 'waiting') return
    this.#home.timer.cancel()
    this.#failures = 0
    this.#dialHome()
  }

  #fail(error: RelayError): void {
    this.#isStopped = true
    this.#events.failed(error)
  }

  // ---- visits ----

  #dialVisit(node: string, visit: Visit): void {
    const url = visit.urls[visit.tries % visit.urls.length]
    if (url === undefined) return this.#visitLost(node)
    visit.tries += 1
    this.#dial(
      url,
      'visit',
      (dial) => {
        visit.dial = dial
        if (dial.is !== 'up') return
        visit.tries = 0
        this.#patience.delete(node)
      },
      (error) => {
        if (this.#isStopped || this.#visits.get(node) !== visit) return
        if (error.code === 'timeout') this.#growPatience(node)
        // It was up: whether that relay still lives, and who is at home there, the directory knows best.
        if (visit.dial.is === 'idle') return this.#visitLost(node)
        const isOver = error.code === 'timeout' || error.code === 'goodbye' || error.code === 'draining'
        if (isOver || visit.tries >= MAX_VISIT_TRIES) return this.#visitLost(node)
        const timer = this.#options.clock.after(this.#backoff(visit.tries), () =>
          this.#dialVisit(node, visit),
        )
        visit.dial = { is: 'waiting', timer }
      },
      node,
    )
  }

  #patienceFor(node: string | undefined): number {
    return this.#patience.get(node ?? '') ?? VISIT_HANDSHAKE_MS
  }

  /** A far relay needs longer than one that hangs is worth: twice as long at each next try. */
  #growPatience(node: string): void {
    const next = Math.min(this.#limits.handshakeMs, 2 * this.#patienceFor(node))
    if (this.#patience.size >= MAX_PATIENCE) this.#patience.clear()
    this.#patience.set(node, next)
  }

  /** Whoever was reached there is asked for again at our home, where the directory is known. */
  #visitLost(node: string): void {
    this.#visits.delete(node)
    this.#whereabouts.loseAllAt(node)
  }

  // ---- any ----

  #backoff(failures: number): number {
    const { minBackoffMs, maxBackoffMs } = this.#limits
    const most = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(failures, 20))
    return most * (0.5 + this.#options.random() / 2) // jitter: a thousand functions must not dial together
  }

  /**
   * Dials `url`; `set` follows where the dial stands, `failed` hears why it did not come up.
   * `expected`: the relay that a visit is for.
   */
  #dial(
    url: string,
    mode: 'attach' | 'visit',
    set: (dial: Dial) => void,
    failed: (error: RelayError) => void,
    expected?: string,
  ): void {
    const { class: trafficClass, incarnation } = this.#options
    let isUp = false
    dialLink(this.#options, {
      url,
      limitMs: Math.min(
        this.#limits.handshakeMs,
        mode === 'visit' ? this.#patienceFor(expected) : this.#homeLimitMs,
      ),
      tuning: this.#tuning,
      hello: (token) => {
        this.#counter += 1
        return {
          versions: [VERSION_MIN, VERSION_MAX],
          token,
          incarnation,
          counter: this.#counter,
          class: trafficClass,
          mode,
          ...(mode === 'attach' && this.#staysWhereItKnocks ? { placed: true } : {}),
          ...(mode === 'attach' && this.#leaving?.isUp === true ? { hasHome: true } : {}),
        }
      },
      isStopped: () => this.#isStopped,
      set,
      failed,
      events: {
        up: (up) => {
          if (expected !== undefined && nodeOf(up) !== expected) {
            return up.close('goodbye', `looked for ${expected}`) // it started again: who was at home there is not
          }
          isUp = true
          set({ is: 'up', link: up })
          if (mode === 'attach') this.#homeUp(up)
          else this.#events.linkUp(up, false)
        },
        down: (down, error) => {
          if (!isUp) return failed(error)
          if (mode === 'visit') {
            set({ is: 'idle' })
            this.#events.linkDown(down, false, error)
            failed(error)
          } else if (down === this.#leaving) this.#leavingDown(down, error)
          else if (this.#home.is === 'up' && this.#home.link === down) this.#homeDown(down, error)
          else this.#events.linkDown(down, false, error) // its successor is up already
        },
        goAway: (link, leftMs) => this.#goAway(link, leftMs),
        stay: (link) => this.#mayStayAt(link),
        redirected: (link, moved) => {
          if (mode === 'attach') return this.#homeElsewhere(moved)
          failed(new RelayError('internal', `${link.url} sent a visitor elsewhere`))
        },
        control: (link, type, label, offset, payload) =>
          this.#events.control(link, type, label, offset, payload),
      },
    })
  }
}

function nodeOf(link: Link): string | undefined {
  return link.state.is === 'up' ? link.state.welcome.node : undefined
}
