/**
 * One tunnelled TCP connection, end to end: two halves and a route. The halves outlive routes:
 * when a link is lost the route goes down, and a RESUME gives the stream another. This file
 * decides what a stream says on its route; endpoint.ts decides when it gets one.
 */
import type { Slab } from '../pipe/slab.ts'
import type { TrafficClass } from '../wire/control.ts'
import { RelayError, type ResetReason, resetReasonOf, resetReasons, violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import type { CreditBudget, SendBudget } from './credit.ts'
import type { Link } from './link.ts'
import type { ReceiveHalf } from './receive-half.ts'
import { SendHalf } from './send-half.ts'
import type { LocalSide, PeerTraffic, StreamHandle } from './types.ts'

/**
 * Where the frames of a stream go.
 * down: nowhere; waits for a link, or for the opener's RESUME. opening: OPEN is out.
 * resuming: RESUME is out. live: frames flow. ended: nothing is left to say.
 */
export type Route =
  | { readonly is: 'down'; readonly sinceMs: number }
  | { readonly is: 'opening' | 'resuming' | 'live'; readonly link: Link; readonly label: number }
  | { readonly is: 'ended' }

/** What a stream needs of its endpoint. */
export interface StreamHost {
  readonly class: TrafficClass
  readonly credit: CreditBudget
  readonly sendBudget: SendBudget
  readonly nothing: Slab
  now(): number
  /** Streams that keep bytes: for fair shares. Streams count themselves in and out. */
  keepingStreams: number
  /** An acknowledgement is due within the delay. */
  ackLater(stream: Stream): void
  /** send() returned false; call writable() when there is room. */
  waitForRoom(stream: Stream): void
  /** Bytes were let go: others may write. */
  roomFreed(): void
  /** A reader wants more credit than the budget has. */
  starved(stream: Stream): void
  /** Both halves are over and nothing is left to say or to hear. */
  finished(stream: Stream): void
  /** A reset waits for a route. */
  needsRoute(stream: Stream): void
  countReset(reason: ResetReason): void
  countReplay(bytes: number): void
  traffic(peer: string): PeerTraffic
}

/** pending: not accepted yet. open: bytes flow. resetting: RESET is said until it is confirmed. over: nothing is called any more. */
export type StreamState =
  | { readonly is: 'pending' }
  | { readonly is: 'open' }
  | { readonly is: 'resetting'; readonly reason: ResetReason; readonly sinceMs: number }
  | { readonly is: 'over' }

/** What a stream may have unsent before its program is told to wait, bytes. */
const UNSENT_CAP = 256 * 1024

export interface StreamIdentity {
  /** Opened by us, or accepted. Only the opener resumes. */
  readonly isOpener: boolean
  readonly id: number
  readonly peer: string
  readonly port: number
}

export class Stream implements StreamHandle {
  readonly isOpener: boolean
  readonly id: number
  readonly peer: string
  readonly port: number
  readonly class: TrafficClass
  readonly openedAtMs: number
  readonly receive: ReceiveHalf
  readonly send_: SendHalf
  /** Of the peer's process; '' until it has answered. */
  peerIncarnation = ''
  /** Of the newest route; 0: none was ever asked for. */
  generation = 0
  /** What an acceptor owes its opener once it has accepted. */
  owes: 'opened' | 'resumed' | 'nothing' = 'nothing'
  route: Route
  #state: StreamState = { is: 'pending' }
  #local: LocalSide | undefined
  readonly #host: StreamHost
  readonly #traffic: PeerTraffic
  /** In the link's queue of streams with something to send. Owned by link.ts. */
  isQueued = false
  isWaitingForRoom = false
  /** In the link's list of streams that the current read brought bytes for. Owned by link.ts. */
  isReading = false
  /** Both FINs were confirmed. Set when it is over. */
  endedCleanly = false
  isAckPending = false

  constructor(host: StreamHost, identity: StreamIdentity, receive: ReceiveHalf, sendLimit: number) {
    this.#host = host
    this.isOpener = identity.isOpener
    this.id = identity.id
    this.peer = identity.peer
    this.port = identity.port
    this.class = host.class
    this.openedAtMs = host.now()
    this.receive = receive
    this.send_ = new SendHalf(sendLimit, host.nothing)
    this.route = { is: 'down', sinceMs: this.openedAtMs }
    this.#traffic = host.traffic(this.peer)
    this.#traffic.streams += 1
  }

  get state(): StreamState {
    return this.#state
  }
  get isOver(): boolean {
    return this.#state.is === 'over'
  }

  // ---- for the local side (StreamHandle) ----

  send(slab: Slab, start: number, end: number): boolean {
    if (this.send_.state !== 'open' || start === end) {
      slab.release()
      return this.send_.state === 'open'
    }
    if (this.send_.keptBytes === 0) this.#host.keepingStreams += 1
    this.send_.push(slab, start, end)
    this.#host.sendBudget.add(end - start)
    this.schedule()
    if (this.sendRoom > 0) return true
    this.#host.waitForRoom(this)
    return false
  }

  get sendRoom(): number {
    if (this.send_.state !== 'open') return 0
    const unsent = UNSENT_CAP - this.send_.unsentBytes
    if (unsent <= 0) return 0
    const kept = this.send_.keptBytes
    return Math.min(unsent, Math.max(0, this.#host.sendBudget.roomFor(kept, this.#host.keepingStreams)))
  }

  end(): void {
    this.send_.finish()
    this.schedule()
  }

  delivered(bytes: number): void {
    if (this.#state.is !== 'open') return
    this.receive.markDelivered(bytes)
    this.#settleReceipts()
  }

  reset(reason: ResetReason): void {
    if (this.#state.is === 'resetting' || this.#state.is === 'over') return
    this.#beginReset(reason)
  }

  // ---- for the endpoint ----

  /** The local side is there (opener: from the start; acceptor: it accepted). */
  accept(local: LocalSide): void {
    this.#local = local
    if (this.#state.is !== 'pending' || this.isOpener) return
    this.#state = { is: 'open' }
    this.receive.noteFirstGrant(this.#host.now())
  }

  /** OPENED, or a RESUME of a stream whose OPEN was never answered. */
  opened(incarnation: string, limit: number): void {
    this.peerIncarnation = incarnation
    this.send_.raiseLimit(limit)
    if (this.#state.is !== 'pending') return
    this.#state = { is: 'open' }
    this.receive.noteRoundTrip(this.#host.now() - this.openedAtMs)
    this.#local?.opened()
    this.schedule()
  }

  /** The newest route is lost. */
  routeLost(): void {
    if (this.route.is === 'ended') return
    this.isQueued = false
    this.route = { is: 'down', sinceMs: this.#host.now() }
  }

  /** Frames flow over `link` as `label`. */
  routeLive(link: Link, label: number): void {
    this.isQueued = false
    this.route = { is: 'live', link, label }
  }

  /** On a new route the peer has `received` and allows `limit`. Says again what is not confirmed. */
  resumed(received: number, limit: number): void {
    if (this.#state.is === 'resetting') {
      this.#sendReset(this.#state.reason)
      return
    }
    const [released, replay] = this.send_.resumeFrom(received, limit)
    if (released > 0) this.#release(released)
    if (replay > 0) this.#host.countReplay(replay)
    this.schedule()
    this.#settleReceipts()
    if (this.receive.isStarved) this.#host.starved(this)
  }

  /** The peer has the stream no more. `wasClean`: it had our FIN, and our confirmation of its own. */
  peerForgot(wasClean: boolean): void {
    if (this.#state.is === 'resetting') return this.#finish(undefined)
    const isComplete =
      this.send_.state !== 'open' &&
      this.receive.state === 'finished' &&
      this.receive.delivered === this.receive.finAt
    this.#finish(wasClean && isComplete ? undefined : 'lost')
  }

  /** It cannot go on: the program hears it now, the peer is told until it confirms. */
  fail(reason: ResetReason): void {
    if (this.#state.is === 'resetting' || this.#state.is === 'over') return
    const local = this.#local
    this.#beginReset(reason)
    local?.reset(reason)
  }

  /**
   * The peer's endpoint is over, or ours. No confirmation is awaited; but a relay that still has
   * the label open, or a RESUME parked for it, must not lead a peer that comes back to nobody.
   */
  die(reason: ResetReason): void {
    if (this.#state.is !== 'over' && this.route.is !== 'down' && this.route.is !== 'ended') {
      this.route.link.sendSignal(FrameType.reset, this.route.label, resetReasons[reason])
    }
    this.#finish(reason)
  }

  // ---- for the link: frames that came ----

  handleData(offset: number, bytes: Buffer, start: number, end: number, slab: Slab): void {
    if (this.#state.is !== 'open') {
      if (this.#state.is === 'resetting') return // what comes late drains
      throw violation(`DATA for stream ${this.id} before it was opened`)
    }
    const fresh = this.receive.accept(offset, end - start, this.#host.now())
    if (fresh === 0) return
    this.#traffic.receivedBytes += fresh
    this.#local?.deliver(bytes, end - fresh, end, slab)
  }

  /** The read that brought bytes is over. */
  flush(): void {
    this.#local?.flush?.()
  }

  handleSignal(type: number, offset: number): void {
    switch (type) {
      case FrameType.ack:
        if (this.#state.is === 'open') this.#release(this.send_.ackTo(offset))
        return
      case FrameType.credit:
        if (this.#state.is === 'open' && this.send_.raiseLimit(offset)) this.schedule()
        return
      case FrameType.fin:
        if (this.#state.is !== 'open') return
        if (this.receive.finish(offset)) this.#local?.ended()
        this.#settleReceipts()
        return
      case FrameType.finAck:
        if (this.#state.is !== 'open') return
        this.#release(this.send_.finAcked(offset))
        this.#doneIfAcceptor()
        return
      case FrameType.done:
        if (this.#state.is !== 'open') return
        if (!this.isOpener || this.send_.state !== 'ended' || !this.receive.isFinAcked) {
          throw violation(`DONE on stream ${this.id} before both its FINs were confirmed`)
        }
        this.#finish(undefined)
        return
      case FrameType.reclaim: {
        if (this.#state.is !== 'open' || this.route.is !== 'live') return
        this.route.link.sendSignal(FrameType.reclaimed, this.route.label, this.send_.lowerLimit(offset))
        return
      }
      case FrameType.reclaimed:
        if (this.#state.is !== 'open') return
        if (this.receive.isReclaiming) this.receive.reclaimed(offset)
        this.#settleReceipts()
        this.#host.roomFreed()
        return
      case FrameType.reset:
        if (this.route.is !== 'down' && this.route.is !== 'ended') {
          this.route.link.sendSignal(FrameType.resetAck, this.route.label, 0)
        }
        // Both ends reset at once: each takes the other's for its own confirmation.
        this.#finish(this.#state.is === 'resetting' ? undefined : resetReasonOf(offset))
        return
      case FrameType.resetAck:
        if (this.#state.is === 'resetting') this.#finish(undefined)
        return
      default:
        throw violation(`frame 0x${type.toString(16)} out of turn on stream ${this.id}`)
    }
  }

  // ---- for the link: what to send ----

  /** Puts the stream into its link's queue if it has something to send. */
  schedule(): void {
    if (this.route.is === 'live' && this.#state.is === 'open') {
      if (this.send_.sendableBytes > 0 || this.send_.canSendFin) this.route.link.queue(this)
    }
  }

  /** Called by the link in turn. Returns whether more is ready. */
  sendTurn(link: Link, label: number, quantum: number): boolean {
    const part = this.send_.take(quantum)
    if (part !== undefined) {
      this.#traffic.sentBytes += part.end - part.start
      link.sendData(label, part)
      if (this.isWaitingForRoom) this.#host.roomFreed()
    }
    if (this.send_.canSendFin) {
      this.send_.markFinSent()
      link.sendSignal(FrameType.fin, label, this.send_.finOffset)
    }
    return this.send_.sendableBytes > 0
  }

  /** The ack timer fired. */
  ackDue(): void {
    this.isAckPending = false
    if (this.#state.is === 'open' && this.route.is === 'live')
      this.#sendReceipts(this.route.link, this.route.label)
  }

  /** Asks the sender to hand back credit that it has not used. */
  reclaim(): void {
    if (this.#state.is !== 'open' || this.route.is !== 'live' || this.receive.isReclaiming) return
    this.route.link.sendSignal(FrameType.reclaim, this.route.label, this.receive.startReclaim())
  }

  /** There may be room again. */
  roomAgain(): void {
    if (this.#state.is === 'open' || this.#state.is === 'pending') this.#local?.writable()
  }

  // ---- inside ----

  #settleReceipts(): void {
    if (this.#state.is !== 'open' || this.route.is !== 'live') return
    const { receive } = this
    if (receive.canAckFin || receive.isAckUrgent || receive.isStarved) {
      this.#sendReceipts(this.route.link, this.route.label)
    } else if (receive.hasAckToSend && !this.isAckPending) {
      this.isAckPending = true
      this.#host.ackLater(this)
    }
  }

  #sendReceipts(link: Link, label: number): void {
    const { receive } = this
    if (receive.canAckFin) {
      receive.markFinAckSent()
      link.sendSignal(FrameType.finAck, label, receive.finAt)
      this.#doneIfAcceptor()
      return
    }
    const credit = receive.takeCredit(this.#host.now())
    const ack = receive.hasAckToSend ? receive.takeAck() : -1
    if (ack >= 0 || credit >= 0) link.sendReceipts(label, ack, credit)
    if (receive.isStarved) this.#host.starved(this)
  }

  #release(bytes: number): void {
    if (bytes === 0) return
    if (this.send_.keptBytes === 0) this.#host.keepingStreams -= 1
    this.#host.sendBudget.remove(bytes)
    this.#host.roomFreed()
  }

  /**
   * The acceptor forgets first, and says so; the opener keeps the stream until then, because it is
   * the one who can ask again. So neither is ever left with a FIN_ACK that may have been lost.
   */
  #doneIfAcceptor(): void {
    if (this.isOpener || this.send_.state !== 'ended' || !this.receive.isFinAcked) return
    if (this.route.is !== 'live') return
    this.route.link.sendSignal(FrameType.done, this.route.label, 0)
    this.#finish(undefined)
  }

  #beginReset(reason: ResetReason): void {
    const wasPending = this.#state.is === 'pending'
    this.#state = { is: 'resetting', reason, sinceMs: this.#host.now() }
    this.#local = undefined
    this.#host.countReset(reason)
    this.#drop()
    if (this.route.is === 'live' || this.route.is === 'opening') this.#sendReset(reason)
    else if (this.isOpener && wasPending && this.generation === 0) this.#finish(undefined)
    else this.#host.needsRoute(this)
  }

  #sendReset(reason: ResetReason): void {
    if (this.route.is !== 'live' && this.route.is !== 'opening') return
    this.route.link.sendSignal(FrameType.reset, this.route.label, resetReasons[reason])
  }

  #drop(): void {
    this.#release(this.send_.kill())
    this.receive.kill()
  }

  #finish(reason: ResetReason | undefined): void {
    if (this.#state.is === 'over') return
    const wasResetting = this.#state.is === 'resetting'
    this.#state = { is: 'over' }
    const local = this.#local
    this.#local = undefined
    this.#drop()
    if (this.route.is !== 'down' && this.route.is !== 'ended') this.route.link.closeLabel(this.route.label)
    this.route = { is: 'ended' }
    this.endedCleanly = reason === undefined && !wasResetting
    if (reason !== undefined) {
      if (!wasResetting) this.#host.countReset(reason) // else it was, when it began
      local?.reset(reason)
    } else local?.closed()
    this.#host.finished(this)
  }
}

/** A relay only passes frames on: what is wrong with them is the peer's doing, and harms this stream alone. */
export function failStream(stream: Stream, error: unknown): void {
  if (!(error instanceof RelayError)) throw error
  stream.fail('violation')
}
