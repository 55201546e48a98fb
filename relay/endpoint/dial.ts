/**
 * One dial of a relay, from the token to the first frame: within a time, and with its end told
 * once. Used by homes.ts.
 */
import type { Timer } from '../time/clock.ts'
import type { Hello } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import { Link, type LinkEvents, type LinkTuning } from './link.ts'
import type { EndpointOptions } from './types.ts'

/** Where a dialled link stands. */
export type Dial =
  | { readonly is: 'idle' }
  | { readonly is: 'dialling'; readonly abort: AbortController; readonly timer: Timer }
  | { readonly is: 'shaking'; readonly link: Link }
  | { readonly is: 'waiting'; readonly timer: Timer }
  | { readonly is: 'up'; readonly link: Link }

export interface DialOrder {
  readonly url: string
  /** For the connection, and again for the handshake, ms. */
  readonly limitMs: number
  readonly tuning: LinkTuning
  /** Asked when there is a connection. */
  hello(token: string): Hello
  /** Nobody wants the link any more. */
  isStopped(): boolean
  /** The dial stands there now: `dialling`, then `shaking`. */
  set(dial: Dial): void
  /** There was no connection. What becomes of one is told to `events`. */
  failed(error: RelayError): void
  readonly events: LinkEvents
}

export function dialLink(options: EndpointOptions, order: DialOrder): void {
  const { dialer, clock } = options
  const { url, limitMs } = order
  const abort = new AbortController()
  const timer = clock.after(limitMs, () => abort.abort())
  order.set({ is: 'dialling', abort, timer })
  const connect = async (): Promise<void> => {
    const token = await options.token()
    abort.signal.throwIfAborted()
    const pipe = await dialer.dial(url, abort.signal)
    if (abort.signal.aborted || order.isStopped()) {
      pipe.destroy()
      abort.signal.throwIfAborted()
      return
    }
    timer.cancel()
    const tuning = { ...order.tuning, handshakeMs: limitMs }
    const link = new Link(url, pipe, order.hello(token), clock, tuning, order.events)
    order.set({ is: 'shaking', link })
  }
  connect().catch((cause: unknown) => {
    timer.cancel()
    if (order.isStopped()) return
    if (abort.signal.aborted) {
      return order.failed(
        new RelayError('timeout', `cannot reach ${url}: no connection within ${limitMs} ms`),
      )
    }
    const detail = cause instanceof Error ? cause.message : String(cause)
    order.failed(new RelayError('internal', `cannot reach ${url}: ${detail}`, { cause }))
  })
}

/** The endpoint is over. */
export function endDial(dial: Dial): void {
  if (dial.is === 'dialling') {
    dial.timer.cancel()
    dial.abort.abort()
  } else if (dial.is === 'waiting') dial.timer.cancel()
  else if (dial.is === 'shaking' || dial.is === 'up') dial.link.close('goodbye', 'the endpoint is over')
}
