/**
 * Two local sides joined in memory, with no endpoint between: what a program dials at its own
 * virtual address is connected here. Bytes move by reference; a window keeps a slow reader
 * from filling memory. Used by lane.ts, and by tests in place of two endpoints and a relay.
 */
import type { IncomingStream, LocalSide, StreamHandle } from '../endpoint/types.ts'
import type { Slab } from '../pipe/slab.ts'
import type { ResetReason } from '../wire/errors.ts'
import type { TrafficClass } from './tunnel-types.ts'

/** Bytes under way before a sender waits. */
const WINDOW_BYTES = 256 * 1024

/** opening: not accepted yet. over: reset, rejected, or both halves ended. */
type JoinState = 'opening' | 'open' | 'over'

/**
 * Opens a stream from `opener` (with address `from`) to whoever answers `incoming`. The
 * handle is the opener's; the acceptor gets its own from `accept`.
 */
export function openJoined(
  from: string,
  to: string,
  port: number,
  trafficClass: TrafficClass,
  opener: LocalSide,
  incoming: (stream: IncomingStream) => void,
): StreamHandle {
  const near = new JoinEnd(to, port, trafficClass, opener)
  const far = new JoinEnd(from, port, trafficClass, undefined)
  near.other = far
  far.other = near
  queueMicrotask(() => incoming(new JoinedIncoming(from, port, far)))
  return near
}

class JoinEnd implements StreamHandle {
  readonly peer: string
  readonly port: number
  readonly class: TrafficClass
  other!: JoinEnd // set by openJoined before anyone sees this end
  local: LocalSide | undefined
  state: JoinState = 'opening'
  #underWay = 0
  #isBlocked = false
  #hasEnded = false
  /** What was sent before the other end accepted. */
  #early: { slab: Slab; start: number; end: number }[] = []

  constructor(peer: string, port: number, trafficClass: TrafficClass, local: LocalSide | undefined) {
    this.peer = peer
    this.port = port
    this.class = trafficClass
    this.local = local
  }

  get sendRoom(): number {
    return Math.max(0, WINDOW_BYTES - this.#underWay)
  }

  send(slab: Slab, start: number, end: number): boolean {
    if (this.state === 'over' || this.#hasEnded) {
      slab.release()
      return false
    }
    this.#underWay += end - start
    if (this.state === 'opening') this.#early.push({ slab, start, end })
    else this.#pass(slab, start, end)
    this.#isBlocked = this.#underWay >= WINDOW_BYTES
    return !this.#isBlocked
  }

  #pass(slab: Slab, start: number, end: number): void {
    this.other.local?.deliver(slab.bytes, start, end, slab)
    this.other.local?.flush?.()
    slab.release() // the other side has retained it if it needs it
  }

  end(): void {
    if (this.state === 'over' || this.#hasEnded) return
    this.#hasEnded = true
    if (this.state === 'open') this.#finish()
  }

  #finish(): void {
    this.other.local?.ended()
    if (!this.other.#hasEnded) return
    queueMicrotask(() => {
      for (const end of [this, this.other]) {
        if (end.state === 'over') continue
        end.state = 'over'
        end.local?.closed()
      }
    })
  }

  reset(reason: ResetReason): void {
    if (this.state === 'over') return
    this.#leave()
    if (this.other.state === 'over') return
    this.other.#leave()
    this.other.local?.reset(reason)
  }

  #leave(): void {
    this.state = 'over'
    for (const { slab } of this.#early) slab.release()
    this.#early = []
  }

  delivered(bytes: number): void {
    const sender = this.other
    sender.#underWay -= bytes
    if (sender.#isBlocked && sender.#underWay <= WINDOW_BYTES / 2) {
      sender.#isBlocked = false
      if (sender.state !== 'over') sender.local?.writable()
    }
  }

  /** The other end accepted: what waited goes out. */
  open(): void {
    // What is sent from within a delivery queues behind the rest, so order is kept.
    while (this.state === 'opening') {
      const next = this.#early.shift()
      if (next === undefined) this.state = 'open'
      else this.#pass(next.slab, next.start, next.end)
    }
    if (this.state === 'open' && this.#hasEnded) this.#finish()
  }
}

class JoinedIncoming implements IncomingStream {
  readonly peer: string
  readonly port: number
  readonly #end: JoinEnd

  constructor(peer: string, port: number, end: JoinEnd) {
    this.peer = peer
    this.port = port
    this.#end = end
  }

  get isOver(): boolean {
    return this.#end.state === 'over'
  }

  accept(local: LocalSide): StreamHandle {
    const end = this.#end
    end.local = local
    // Later, so that the acceptor holds its handle before the first byte comes.
    queueMicrotask(() => {
      if (end.state !== 'opening') return
      end.other.local?.opened()
      end.open()
      end.other.open()
    })
    return end
  }

  reject(reason: ResetReason): void {
    this.#end.reset(reason)
  }
}
