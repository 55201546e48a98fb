/**
 * One traffic class of one virtual address: its home link, the streams that it opened and
 * accepted, and what happens to them when links come and go. relay/loopback runs two of them,
 * one a class, with one incarnation between them. No sockets, no timers but the clock's.
 */
import { Slab } from '../pipe/slab.ts'
import type { Timer } from '../time/clock.ts'
import { decodeGone, decodeMoved, decodeRouteDown, encodeRetire } from '../wire/control.ts'
import { type RelayError, type ResetReason, violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import { Acceptor, type AcceptorHost } from './acceptor.ts'
import { CreditBudget, SendBudget } from './credit.ts'
import { FairRate, type RoundTrip, UNKNOWN_ROUND_TRIP_MS } from './fair-rate.ts'
import { Homes } from './homes.ts'
import type { Link } from './link.ts'
import { Opener } from './opener.ts'
import { endpointLimits } from './options.ts'
import { ReceiveHalf } from './receive-half.ts'
import { Stream, type StreamHost } from './stream.ts'
import { StreamTable } from './stream-table.ts'
import type {
  EndpointFigures,
  EndpointLimits,
  EndpointOptions,
  LocalSide,
  PeerTraffic,
  StreamHandle,
} from './types.ts'

/** starting: never attached yet. attached, detached: with and without a home link. closing: streams finish. over: nothing goes on. */
export type EndpointState = 'starting' | 'attached' | 'detached' | 'closing' | 'over'

/** How often what is over is forgotten, ms. */
const SWEEP_MS = 1_000
/** A stream that nothing came for in this time gives credit back to one that is starved, ms. */
const IDLE_CREDIT_MS = 200

export class Endpoint implements StreamHost {
  readonly class
  readonly limits: EndpointLimits
  readonly credit: CreditBudget
  readonly sendBudget: SendBudget
  readonly nothing = new Slab(Buffer.alloc(0))
  keepingStreams = 0
  readonly #options: EndpointOptions
  readonly #homes: Homes
  #state: EndpointState = 'starting'
  readonly #streams: StreamTable
  readonly #opener: Opener
  readonly #acceptor: Acceptor
  #nextId = 1
  #acksDue: Stream[] = []
  #ackTimer: Timer | undefined
  #sweepTimer: Timer | undefined
  #sweptMs: number
  /** Time in which this process ran until it last swept, ms. */
  #sweptLivedMs = 0
  readonly #waiting = new Set<Stream>()
  #lastReclaimMs = -1_000
  readonly #peers = new Map<string, PeerTraffic>()
  readonly #fairRate = new FairRate()
  readonly #roundTrips = new Map<string, RoundTrip>()
  readonly #resets: Partial<Record<ResetReason, number>> = {}
  #replayedBytes = 0
  #whenClosed: (() => void) | undefined

  /** Throws RangeError when a limit is out of its bounds. */
  constructor(options: EndpointOptions) {
    this.#options = options
    this.class = options.class
    this.limits = endpointLimits(options.class, options.limits)
    this.credit = new CreditBudget(this.limits.receiveBudgetBytes)
    this.sendBudget = new SendBudget(this.limits.sendBudgetBytes, this.limits.floorBytes)
    this.#streams = new StreamTable(this.limits.tombstoneMs)
    this.#sweptMs = options.clock.now()
    this.#homes = new Homes(options, this.limits, {
      linkUp: (link, isHome) => this.#linkUp(link, isHome),
      linkDown: (link, isHome, error) => this.#linkDown(link, isHome, error),
      control: (link, type, label, offset, payload) =>
        this.#handleControl(link, type, label, offset, payload),
      askAgain: (address) => this.#askAgain(address),
      failed: (error) => this.#fail(error),
    })
    this.#opener = new Opener(this.#homes)
    this.#acceptor = new Acceptor(this.#acceptorHost(), this.#streams)
  }

  #acceptorHost(): AcceptorHost {
    const refusal = (): ResetReason | undefined => this.#refusal
    return {
      incarnation: this.#options.incarnation,
      makeStream: (identity, limit) => new Stream(this, identity, this.#receiveHalf(identity.peer), limit),
      get refusal() {
        return refusal()
      },
      incoming: (stream) => this.#options.events.incoming(stream),
    }
  }

  get state(): EndpointState {
    return this.#state
  }

  /** Begins to attach. Once. */
  start(): void {
    this.#homes.start()
    this.#sweepLater()
  }

  /** Opens a stream to `port` of `to`. Never throws: what goes wrong comes as `local.reset`. */
  open(to: string, port: number, local: LocalSide): StreamHandle {
    const stream = new Stream(
      this,
      { isOpener: true, id: this.#nextId, peer: to, port },
      this.#receiveHalf(to),
      0,
    )
    this.#nextId += 1
    stream.accept(local)
    this.#streams.opened.set(stream.id, stream)
    const refusal = this.#refusal
    if (refusal !== undefined) stream.die(refusal)
    else this.#opener.route([stream])
    return stream
  }

  /** Driver's role only: `address` up to `generation` is over; its peers are told at once. */
  retire(address: string, generation: number): void {
    this.#homes.retire(encodeRetire({ address, generation }))
  }

  /** Lets streams finish for `goodbyeMs`, resets the rest, says goodbye. Settles when all is over. */
  close(): Promise<void> {
    if (this.#state === 'over') return Promise.resolve()
    const closed = new Promise<void>((resolve) => {
      const before = this.#whenClosed
      this.#whenClosed = () => {
        before?.()
        resolve()
      }
    })
    if (this.#state !== 'closing') {
      this.#state = 'closing'
      this.#options.clock.after(this.limits.goodbyeMs, () => this.#closeNow())
      this.#closeIfEmpty()
    }
    return closed
  }

  /** Ends at once, with no word to anybody: what a crash looks like. For tests. */
  abandon(): void {
    this.#homes.abandon()
    this.#over()
  }

  figures(): EndpointFigures {
    return {
      openStreams: this.#streams.size,
      tombstones: this.#streams.tombstones.size,
      creditOutBytes: this.credit.usedBytes,
      unackedBytes: this.sendBudget.usedBytes,
      resumes: this.#opener.resumes + this.#acceptor.resumes,
      replayedBytes: this.#replayedBytes,
      resets: this.#resets,
      peers: this.#peers,
    }
  }

  // ---- StreamHost ----

  now(): number {
    return this.#options.clock.now()
  }
  ackLater(stream: Stream): void {
    this.#acksDue.push(stream)
    this.#ackTimer ??= this.#options.clock.after(this.limits.ackDelayMs, () => {
      this.#ackTimer = undefined
      const due = this.#acksDue
      this.#acksDue = []
      for (const late of due) late.ackDue()
    })
  }
  waitForRoom(stream: Stream): void {
    stream.isWaitingForRoom = true
    this.#waiting.add(stream)
  }
  roomFreed(): void {
    if (this.#waiting.size === 0) return
    for (const stream of this.#waiting) {
      if (stream.sendRoom <= 0) continue
      this.#waiting.delete(stream)
      stream.isWaitingForRoom = false
      stream.roomAgain()
    }
  }
  starved(hungry: Stream): void {
    const now = this.now()
    if (now - this.#lastReclaimMs < IDLE_CREDIT_MS / 2) return
    this.#lastReclaimMs = now
    for (const stream of this.#streams.all()) {
      if (stream === hungry || stream.receive.spareCredit <= 0) continue
      if (now - stream.receive.lastDataMs >= IDLE_CREDIT_MS) stream.reclaim()
    }
  }
  needsRoute(stream: Stream): void {
    if (stream.isOpener && stream.route.is === 'down') this.#opener.route([stream])
  }
  finished(stream: Stream): void {
    this.#streams.bury(stream, this.#livedMs)
    this.#waiting.delete(stream)
    this.roomFreed()
    if (this.#state === 'closing') this.#closeIfEmpty()
  }
  countReset(reason: ResetReason): void {
    this.#resets[reason] = (this.#resets[reason] ?? 0) + 1
  }
  countReplay(bytes: number): void {
    this.#replayedBytes += bytes
  }
  traffic(peer: string): PeerTraffic {
    let traffic = this.#peers.get(peer)
    if (traffic === undefined) {
      traffic = { sentBytes: 0, receivedBytes: 0, streams: 0 }
      this.#peers.set(peer, traffic)
    }
    return traffic
  }

  // ---- links ----

  #linkUp(link: Link, isHome: boolean): void {
    if (isHome && this.#state !== 'closing') this.#state = 'attached'
    // Credit of all streams together stays below what the relay queues for any one link of ours.
    if (link.state.is === 'up') this.credit.capTo(link.state.welcome.maxQueuedBytes)
    const waiting: Stream[] = []
    for (const stream of this.#streams.opened.values()) {
      if (stream.route.is === 'down' && this.#homes.linkTo(stream.peer) === link) waiting.push(stream)
    }
    if (isHome) {
      this.#acceptor.watchOrphans(link)
      this.#options.events.attached({
        url: link.url,
        node: link.state.is === 'up' ? link.state.welcome.node : '',
        resumed: waiting.length,
      })
    }
    this.#opener.route(waiting)
  }

  #linkDown(link: Link, isHome: boolean, error: RelayError): void {
    const lost: Stream[] = []
    for (const stream of link.labels.values()) {
      const route = stream.route
      if (route.is === 'down' || route.is === 'ended' || route.link !== link) continue
      stream.routeLost()
      if (stream.isOpener) lost.push(stream)
    }
    if (isHome) {
      if (this.#state === 'attached') this.#state = 'detached'
      this.#options.events.detached(error.message)
    }
    this.#opener.route(lost)
  }

  // ---- frames ----

  #handleControl(link: Link, type: number, label: number, offset: number, payload: Buffer): void {
    switch (type) {
      case FrameType.open:
        return this.#acceptor.handleOpen(link, label, offset, payload)
      case FrameType.opened:
        return this.#opener.handleOpened(link, label, offset, payload)
      case FrameType.resume:
        return this.#acceptor.handleResume(link, payload)
      case FrameType.resumed:
        return this.#opener.handleResumed(link, payload)
      case FrameType.moved: {
        const moved = decodeMoved(payload)
        const streams = this.#takeLabels(link, moved.labels)
        this.#homes.moved(link, moved)
        return this.#opener.route(streams)
      }
      case FrameType.routeDown:
        return this.#opener.route(this.#takeLabels(link, decodeRouteDown(payload).labels))
      case FrameType.gone: {
        const gone = decodeGone(payload)
        return this.#peerGone(gone.address, gone.incarnation)
      }
      default:
        throw violation(`frame 0x${type.toString(16)} from a relay`)
    }
  }

  /** The relay has no route for these labels any more. Returns those streams that are ours to resume. */
  #takeLabels(link: Link, labels: readonly number[]): Stream[] {
    const lost: Stream[] = []
    for (const label of labels) {
      const stream = link.labels.get(label)
      if (stream === undefined) continue
      link.closeLabel(label)
      stream.routeLost()
      if (stream.isOpener) lost.push(stream)
    }
    return lost
  }

  #peerGone(address: string, incarnation: string): void {
    for (const stream of this.#streams.all()) {
      if (stream.peer !== address) continue
      if (incarnation === '' || stream.peerIncarnation === incarnation) stream.die('gone')
    }
  }

  #askAgain(address: string): void {
    this.#opener.route([...this.#streams.opened.values()].filter((stream) => stream.peer === address))
  }

  // ---- time ----

  #sweepLater(): void {
    this.#sweepTimer = this.#options.clock.after(SWEEP_MS, () => {
      this.#sweep()
      if (this.#state !== 'over') this.#sweepLater()
    })
  }

  /** Time in which this process ran, ms: what came before it stood still is read after. */
  get #livedMs(): number {
    return this.#sweptLivedMs + Math.min(this.now() - this.#sweptMs, 2 * SWEEP_MS)
  }

  #sweep(): void {
    const now = this.now()
    this.#sweptLivedMs = this.#livedMs
    this.#sweptMs = now
    this.#streams.tombstones.sweep(this.#sweptLivedMs)
    this.#homes.sweep(now)
    for (const stream of this.#streams.opened.values()) {
      if (stream.state.is === 'pending' && now - stream.openedAtMs > this.limits.openTimeoutMs)
        stream.fail('timeout')
      else this.#forgetReset(stream, now)
    }
    for (const stream of this.#streams.accepted.values()) {
      this.#forgetReset(stream, now)
      if (stream.route.is === 'down' && now - stream.route.sinceMs > this.limits.orphanMs)
        stream.peerForgot(false)
    }
  }

  /** A reset that nobody confirmed for as long as the peer could remember the stream. */
  #forgetReset(stream: Stream, now: number): void {
    if (stream.state.is === 'resetting' && now - stream.state.sinceMs > this.limits.tombstoneMs)
      stream.die(stream.state.reason)
  }

  #fail(error: RelayError): void {
    if (this.#state === 'over') return
    this.#over()
    this.#options.events.failed(error)
  }

  #closeIfEmpty(): void {
    if (this.#streams.size === 0) this.#closeNow()
  }

  #closeNow(): void {
    if (this.#state !== 'closing') return
    this.#homes.goodbye()
    this.#over()
  }

  #over(): void {
    this.#state = 'over'
    for (const stream of this.#streams.all()) stream.die('shutdown')
    this.#homes.stop()
    this.#sweepTimer?.cancel()
    this.#ackTimer?.cancel()
    this.#ackTimer = undefined
    this.#whenClosed?.()
  }

  /** Why no stream is opened or accepted now. Floors stand outside the budget, so they are what bounds the number of streams. */
  get #refusal(): ResetReason | undefined {
    if (this.#state === 'closing' || this.#state === 'over') return 'shutdown'
    const { maxStreams, floorBytes, receiveBudgetBytes } = this.limits
    const { size } = this.#streams
    return size > maxStreams || size * floorBytes > 16 * receiveBudgetBytes ? 'overloaded' : undefined
  }

  #receiveHalf(peer: string): ReceiveHalf {
    let roundTrip = this.#roundTrips.get(peer)
    if (roundTrip === undefined) {
      roundTrip = { ms: UNKNOWN_ROUND_TRIP_MS }
      this.#roundTrips.set(peer, roundTrip)
    }
    const { floorBytes, initialWindowBytes, maxWindowBytes } = this.limits
    return new ReceiveHalf(
      this.credit,
      this.#fairRate,
      floorBytes,
      initialWindowBytes,
      maxWindowBytes,
      roundTrip,
    )
  }
}
