/**
 * The link of an endpoint to its home, which it keeps at all times: dials, backs off, goes where a
 * relay sends it, and moves to another before the old one ends. Used by homes.ts.
 */
import type { Timer } from '../time/clock.ts'
import type { Hello, Moved } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import { abandonDial, type Dial, type Dialler, endDial, nodeOf } from './dial.ts'
import type { Link } from './link.ts'

export interface HomeEvents {
  up(link: Link): void
  /** Home is lost, `wasHome`; else a link that has a successor. */
  down(link: Link, wasHome: boolean, error: RelayError): void
  /** Refused for good, or no relay for `noRelayMs`. */
  failed(error: RelayError): void
}

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
/** Whoever has lost its home tries at least so often while its place is kept, however short that is. */
const TRIES_IN_GRACE = 8
/** Addresses whose end every new home is told; the oldest are forgotten first. */
const MAX_RETIREMENTS = 4_096

/** A home that wants us to go: it keeps working until its successor is up. */
interface Leaving {
  readonly link: Link
  /** Until then it serves us for certain: a relay that is cut off from the directory cannot keep our lease for longer. */
  readonly byMs: number
  /** It has taken that back. */
  mayStay: boolean
}

export class Home {
  readonly #dialler: Dialler
  readonly #events: HomeEvents
  #dial: Dial = { is: 'idle' }
  #leaving: Leaving | undefined
  /** The old link after there is a new one: its streams go on until they have another way. */
  #parting: { readonly link: Link; readonly timer: Timer } | undefined
  #homeless: Timer | undefined
  #nextUrl: number
  #failures = 0
  /** Numbers the dials: what is heard from an older one means nothing. */
  #dials = 0
  /** How often in a row relays have sent us on; once it was tried, we ask to be taken where we knock. */
  #placements = 0
  /** Where the home was that was lost last: the last place to try. */
  #lostUrl: string | undefined
  /** Until when the relays keep our place, ms; 0: we have a home, or never had one. */
  #keptUntilMs = 0
  /** How long they do after a loss, ms, as the last home said. */
  #graceMs = 0
  readonly #retirements: Buffer[] = []

  constructor(dialler: Dialler, events: HomeEvents) {
    this.#dialler = dialler
    this.#events = events
    const { random, relays } = dialler.options
    this.#nextUrl = Math.floor(random() * relays.length)
  }

  start(): void {
    this.#becomeHomeless()
    this.#dialNext()
  }

  /** Undefined: there is no home now. */
  get link(): Link | undefined {
    const old = this.#serving
    if (old !== undefined) return old.link
    return this.#dial.is === 'up' ? this.#dial.link : undefined
  }

  get node(): string | undefined {
    return this.link && nodeOf(this.link)
  }

  /**
   * Sends a RETIRE now, and again to every new home: nobody confirms it, and a relay that started
   * again has forgotten it.
   */
  retire(frame: Buffer): void {
    this.#retirements.push(frame)
    if (this.#retirements.length > MAX_RETIREMENTS) this.#retirements.shift()
    this.link?.sendFrame(frame)
  }

  goodbye(): void {
    this.#leaving?.link.goodbye()
    this.#parting?.link.goodbye()
    if (this.#dial.is === 'up') this.#dial.link.goodbye()
  }

  /** Ends all links with no word to anybody. */
  abandon(): void {
    abandonDial(this.#dial)
    this.#leaving?.link.abandon()
    this.#parting?.link.abandon()
  }

  stop(): void {
    this.#homeless?.cancel()
    endDial(this.#dial)
    this.#leaving?.link.close('goodbye', 'the endpoint is over')
    this.#endParting()
    this.#dial = { is: 'idle' }
  }

  /** The home that wants us to go, as long as it works. */
  get #serving(): Leaving | undefined {
    return this.#leaving?.link.isUp ? this.#leaving : undefined
  }

  #becomeHomeless(): void {
    const { options, limits } = this.#dialler
    if (this.#graceMs > 0) this.#keptUntilMs = options.clock.now() + this.#graceMs
    this.#homeless ??= options.clock.after(limits.noRelayMs, () => {
      const { failures } = this.#dialler
      const tried = [...failures].map(([url, reason]) => `${url} (${reason})`)
      this.#fail(
        new RelayError(
          'timeout',
          `no relay took this address for ${limits.noRelayMs / 1_000} s; tried ${(tried.length > 0 ? tried : options.relays).join(', ')}`,
        ),
      )
    })
  }

  #dialNext(url = this.#nextRelay()): void {
    if (this.#dialler.isStopped) return
    this.#dials += 1
    const number = this.#dials
    this.#dialler.dial({
      url,
      mode: 'attach',
      limitMs: this.#limitMs,
      wishes: () => this.#wishes(),
      set: (to) => {
        if (number === this.#dials) this.#dial = to
      },
      failed: (error) => {
        if (number === this.#dials) this.#failed(error)
      },
      up: (link) => this.#up(link),
      down: (link, error) => this.#down(link, error),
      goAway: (link, leftMs) => this.#goAway(link, leftMs),
      stay: (link) => this.#mayStayAt(link),
      redirected: (_link, moved) => this.#sentOn(moved),
    })
  }

  /** Relays in turn; where the home was that we have just lost, or are to leave, only when there is no other. */
  #nextRelay(): string {
    const { relays } = this.#dialler.options
    const next = (): string => {
      const url = relays[this.#nextUrl % relays.length] as string
      this.#nextUrl += 1
      return url
    }
    const url = next()
    const isLost = url === this.#lostUrl && (this.#failures < relays.length || this.#serving !== undefined)
    return isLost && relays.length > 1 ? next() : url
  }

  get #limitMs(): number {
    const { relays } = this.#dialler.options
    const isHurried = this.#lostUrl !== undefined && relays.length > 1 && this.#failures < relays.length
    return isHurried ? NEXT_HOME_MS : this.#dialler.limits.handshakeMs
  }

  /**
   * Asks to be taken by the relay that it dials: it was sent there, or has lost its home and failed to
   * get another. Its grace runs, and where there is more room may be the relay that does not answer.
   */
  #wishes(): Pick<Hello, 'placed' | 'hasHome'> {
    const hasHome = this.#serving !== undefined
    const isPressed = this.#lostUrl !== undefined && !hasHome && this.#failures > 0
    return {
      ...(this.#placements > 0 || isPressed ? { placed: true } : {}),
      ...(hasHome ? { hasHome } : {}),
    }
  }

  #up(link: Link): void {
    this.#dial = { is: 'up', link }
    if (link.state.is === 'up') this.#graceMs = link.state.welcome.graceMs
    this.#homeless?.cancel()
    this.#homeless = undefined
    this.#settle()
    const old = this.#leaving?.link
    this.#leaving = undefined
    for (const frame of this.#retirements) link.sendFrame(frame)
    if (old !== undefined) this.#partFrom(old)
    this.#events.up(link)
  }

  /** There is a home: what was tried before it counts no more. */
  #settle(): void {
    this.#failures = 0
    this.#placements = 0
    this.#lostUrl = undefined
    this.#keptUntilMs = 0
  }

  /** The old relay sends those who opened streams to us to our new home, and ends the link. If not, we do. */
  #partFrom(link: Link): void {
    this.#endParting()
    const timer = this.#dialler.options.clock.after(PARTING_MS, () => this.#endParting())
    this.#parting = { link, timer }
  }

  #endParting(): void {
    const parting = this.#parting
    this.#parting = undefined
    parting?.timer.cancel()
    parting?.link.close('superseded', 'moved to another link')
  }

  /** The relay knows a better home for us. */
  #sentOn(moved: Moved): void {
    if (this.#dialler.isStopped) return
    this.#placements += 1
    const url = moved.urls[0]
    if (url !== undefined && this.#placements <= MAX_PLACEMENTS) return this.#dialNext(url)
    this.#failed(new RelayError('draining', 'relays send us from one to the next'))
  }

  #failed(error: RelayError): void {
    if (this.#dialler.isStopped) return
    if (error.retry === 'never') return this.#fail(error)
    const { clock } = this.#dialler.options
    const old = this.#serving
    if (old?.mayStay) return this.#stay(old.link)
    const isUnhurried = old !== undefined && clock.now() > old.byMs
    const most = clock.now() < this.#keptUntilMs ? this.#graceMs / TRIES_IN_GRACE : undefined
    const backoff = this.#dialler.backoff(this.#failures, most) * (isUnhurried ? UNHURRIED : 1)
    const wait = error.retry === 'at-once' && this.#failures === 0 ? 0 : backoff
    this.#failures += 1
    const timer = clock.after(wait, () => this.#dialNext())
    this.#dial = { is: 'waiting', timer }
  }

  /** One that was up is over: the home, the one that we were leaving, or one that has a successor. */
  #down(link: Link, error: RelayError): void {
    if (link === this.#leaving?.link) this.#leavingDown(link, error)
    else if (this.#dial.is === 'up' && this.#dial.link === link) this.#homeDown(link, error)
    else this.#events.down(link, false, error)
  }

  #homeDown(link: Link, error: RelayError): void {
    if (this.#dialler.isStopped) return
    this.#becomeHomeless()
    this.#dial = { is: 'idle' }
    this.#lostUrl = link.url
    this.#events.down(link, true, error)
    this.#failed(error)
  }

  /** The old home is gone before there was a new one. */
  #leavingDown(link: Link, error: RelayError): void {
    this.#leaving = undefined
    if (this.#dialler.isStopped) return
    this.#becomeHomeless()
    this.#events.down(link, true, error)
    if (error.retry === 'never') return this.#fail(error)
    if (this.#dial.is !== 'waiting') return
    this.#dial.timer.cancel()
    this.#failures = 0
    this.#dialNext()
  }

  /** The relay wants us to leave: dial a successor before the link goes. */
  #goAway(link: Link, leftMs: number): void {
    if (this.#dialler.isStopped) return
    if (this.#dial.is !== 'up' || this.#dial.link !== link) {
      if (link === this.#leaving?.link) this.#leaving.mayStay = false
      return
    }
    this.#leaving = { link, byMs: this.#dialler.options.clock.now() + leftMs, mayStay: false }
    this.#lostUrl = link.url
    this.#dial = { is: 'idle' }
    this.#dialNext()
  }

  /** It has taken that back. A handshake that is under way is not broken off: its lease may be written. */
  #mayStayAt(link: Link): void {
    if (link !== this.#leaving?.link || !link.isUp) return
    this.#leaving.mayStay = true
    if (this.#dial.is === 'waiting' || this.#dial.is === 'dialling') this.#stay(link)
  }

  #stay(link: Link): void {
    this.#dials += 1 // whatever comes of the dial is not our home
    endDial(this.#dial)
    this.#leaving = undefined
    this.#settle()
    this.#dial = { is: 'up', link }
  }

  #fail(error: RelayError): void {
    this.#dialler.stop()
    this.#events.failed(error)
  }
}
