/**
 * How the links of an endpoint are dialled, whatever they are for: with its token, within a time,
 * and with the end of each told once. Used by home.ts and visits.ts.
 */
import type { Timer } from '../time/clock.ts'
import type { Hello, Moved } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import { VERSION_MAX, VERSION_MIN } from '../wire/header.ts'
import { Link, type LinkEvents, type LinkTuning } from './link.ts'
import type { EndpointLimits, EndpointOptions } from './types.ts'

/** Where a dialled link stands. */
export type Dial =
  | { readonly is: 'idle' }
  | { readonly is: 'dialling'; readonly abort: AbortController; readonly timer: Timer }
  | { readonly is: 'shaking'; readonly link: Link }
  | { readonly is: 'waiting'; readonly timer: Timer }
  | { readonly is: 'up'; readonly link: Link }

export interface LinkOrder {
  readonly url: string
  /** `attach`: that relay is to be home. `visit`: only to open streams towards those at home there. */
  readonly mode: 'attach' | 'visit'
  /** For the connection, and again for the handshake, ms; no more than the endpoint's own limit is given. */
  readonly limitMs: number
  /** The relay that must be found there; another one is left again. */
  readonly expected?: string
  /** Asked when there is a connection. */
  wishes?(): Pick<Hello, 'placed' | 'hasHome'>
  /** The dial stands there now: `dialling`, `shaking`, `up`. */
  set(dial: Dial): void
  /** It did not come up. */
  failed(error: RelayError): void
  up(link: Link): void
  /** It was up, and is over. */
  down(link: Link, error: RelayError): void
  goAway(link: Link, leftMs: number): void
  stay(link: Link): void
  redirected(link: Link, moved: Moved): void
}

/** URLs whose last failure is remembered: those that were given, and a few that relays have named. */
const MAX_FAILURES = 64

export class Dialler {
  readonly options: EndpointOptions
  readonly limits: EndpointLimits
  readonly #control: LinkEvents['control']
  readonly #tuning: Omit<LinkTuning, 'handshakeMs'>
  /** By URL: why the last link there did not come up. */
  readonly #failures = new Map<string, string>()
  #counter = 0
  #isStopped = false

  /** `control`: gets the frames of streams of every link. */
  constructor(options: EndpointOptions, limits: EndpointLimits, control: LinkEvents['control']) {
    this.options = options
    this.limits = limits
    this.#control = control
    const isUrgent = options.class === 'urgent'
    this.#tuning = {
      keepaliveMs: limits.keepaliveMs,
      silenceMs: limits.silenceMs,
      quantumBytes: isUrgent ? 16 * 1024 : 256 * 1024,
      highWaterBytes: isUrgent ? 64 * 1024 : 512 * 1024,
    }
  }

  /** The endpoint is over: nobody wants a link any more. */
  get isStopped(): boolean {
    return this.#isStopped
  }
  stop(): void {
    this.#isStopped = true
  }

  /** How long to wait after so many failures in a row, `mostMs` at most, ms. */
  backoff(failures: number, mostMs = Number.POSITIVE_INFINITY): number {
    const { minBackoffMs, maxBackoffMs } = this.limits
    const most = Math.min(mostMs, maxBackoffMs, minBackoffMs * 2 ** Math.min(failures, 20))
    return most * (0.5 + this.options.random() / 2) // jitter: a thousand functions must not dial together
  }

  /** Of each URL whose last link did not come up: why. The latest new reason is the last. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures
  }

  #failed(order: LinkOrder, error: RelayError): void {
    const { url } = order
    // What we say of ourselves; of a relay's own word the code is told, too.
    const reason = error.message.replace(/^internal: /, '')
    if (this.#failures.get(url) !== reason) {
      this.#failures.delete(url)
      this.#failures.set(url, reason)
      const [oldest] = this.#failures.keys()
      if (this.#failures.size > MAX_FAILURES && oldest !== undefined) this.#failures.delete(oldest)
      this.options.events.unreached?.(url, reason)
    }
    order.failed(error)
  }

  dial(order: LinkOrder): void {
    const { url } = order
    const limitMs = Math.min(order.limitMs, this.limits.handshakeMs)
    const { dialer, clock } = this.options
    const abort = new AbortController()
    const timer = clock.after(limitMs, () => abort.abort())
    order.set({ is: 'dialling', abort, timer })
    const connect = async (): Promise<void> => {
      const token = await this.options.token()
      abort.signal.throwIfAborted()
      const pipe = await dialer.dial(url, abort.signal)
      if (abort.signal.aborted || this.#isStopped) {
        pipe.destroy()
        abort.signal.throwIfAborted()
        return
      }
      timer.cancel()
      const tuning = { ...this.#tuning, handshakeMs: limitMs }
      const link = new Link(url, pipe, this.#hello(order, token), clock, tuning, this.#eventsOf(order))
      order.set({ is: 'shaking', link })
    }
    connect().catch((cause: unknown) => {
      timer.cancel()
      if (this.#isStopped) return
      if (abort.signal.aborted) {
        return this.#failed(order, new RelayError('timeout', `no connection within ${limitMs} ms`))
      }
      const detail = cause instanceof Error ? cause.message : String(cause)
      this.#failed(order, new RelayError('internal', detail, { cause }))
    })
  }

  #hello(order: LinkOrder, token: string): Hello {
    const { class: trafficClass, incarnation } = this.options
    this.#counter += 1
    return {
      versions: [VERSION_MIN, VERSION_MAX],
      token,
      incarnation,
      counter: this.#counter,
      class: trafficClass,
      mode: order.mode,
      ...order.wishes?.(),
    }
  }

  #eventsOf(order: LinkOrder): LinkEvents {
    const { expected } = order
    let isUp = false
    return {
      up: (link) => {
        if (expected !== undefined && nodeOf(link) !== expected) {
          return link.close('goodbye', `looked for ${expected}`) // it started again: who was at home there is not
        }
        isUp = true
        this.#failures.delete(order.url)
        order.set({ is: 'up', link })
        order.up(link)
      },
      down: (link, error) => (isUp ? order.down(link, error) : this.#failed(order, error)),
      goAway: (link, leftMs) => order.goAway(link, leftMs),
      stay: (link) => order.stay(link),
      redirected: (link, moved) => order.redirected(link, moved),
      control: this.#control,
    }
  }
}

/** The endpoint is over. */
export function endDial(dial: Dial): void {
  if (dial.is === 'dialling') {
    dial.timer.cancel()
    dial.abort.abort()
  } else if (dial.is === 'waiting') dial.timer.cancel()
  else if (dial.is === 'shaking' || dial.is === 'up') dial.link.close('goodbye', 'the endpoint is over')
}

/** Ends its link, if there is one, with no word to anybody. */
export function abandonDial(dial: Dial): void {
  if (dial.is === 'shaking' || dial.is === 'up') dial.link.abandon()
}

/** The relay at the other end, once it has said so. */
export function nodeOf(link: Link): string | undefined {
  return link.state.is === 'up' ? link.state.welcome.node : undefined
}
