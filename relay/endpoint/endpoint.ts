/**
 * One traffic class of one virtual address: its home link, the streams that it opened and
 * accepted, and what happens to them when links come and go. relay/loopback runs two of them,
 * one a class, with one incarnation between them. No sockets, no timers but the clock's.
 */
import { Slab } from '../pipe/slab.ts'
import type { Timer } from '../time/clock.ts'
import {
  decodeGone,
  decodeIncoming,
  decodeMoved,
  decodeOpened,
  decodeResume,
  decodeResumed,
  decodeRouteDown,
  encodeControl,
  encodeResume,
  encodeResumed,
  encodeRetire,
  encodeWatch,
  MAX_BATCH,
  type ResumedEntry,
  type ResumeEntry,
} from '../wire/control.ts'
import { type RelayError, type ResetReason, resetReasons, violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import { CreditBudget, SendBudget } from './credit.ts'
import { Homes } from './homes.ts'
import type { Link } from './link.ts'
import { endpointLimits } from './options.ts'
import { ReceiveHalf } from './receive-half.ts'
import { Stream, type StreamHost } from './stream.ts'
import { Tombstones } from './tombstones.ts'
import type {
  EndpointFigures,
  EndpointLimits,
  EndpointOptions,
  IncomingStream,
  LocalSide,
  PeerTraffic,
  StreamHandle,
} from './types.ts'

/** starting: never attached yet. attached, detached: with and without a home link. closing: streams finish. over: nothing goes on. */
export type EndpointState = 'starting' | 'attached' | 'detached' | 'closing' | 'over'

/** A round trip assumed until one was measured, ms: too high only delays the first growth of a window. */
const ASSUMED_ROUND_TRIP_MS = 1_000
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
  readonly #opened = new Map<number, Stream>()
  /** By opener, its incarnation, and its number. */
  readonly #accepted = new Map<string, Stream>()
  readonly #tombstones: Tombstones
  #nextId = 1
  #acksDue: Stream[] = []
  #ackTimer: Timer | undefined
  #sweepTimer: Timer | undefined
  readonly #waiting = new Set<Stream>()
  #lastReclaimMs = -1_000
  readonly #peers = new Map<string, PeerTraffic>()
  readonly #resets: Partial<Record<ResetReason, number>> = {}
  #resumes = 0
  #replayedBytes = 0
  #whenClosed: (() => void) | undefined

  /** Throws RangeError when a limit is out of its bounds. */
  constructor(options: EndpointOptions) {
    this.#options = options
    this.class = options.class
    this.limits = endpointLimits(options.class, options.limits)
    this.credit = new CreditBudget(this.limits.receiveBudgetBytes)
    this.sendBudget = new SendBudget(this.limits.sendBudgetBytes, this.limits.floorBytes)
    this.#tombstones = new Tombstones(this.limits.tombstoneMs)
    this.#homes = new Homes(options, this.limits, {
      linkUp: (link, isHome) => this.#linkUp(link, isHome),
      linkDown: (link, isHome, error) => this.#linkDown(link, isHome, error),
      control: (link, type, label, offset, payload) =>
        this.#handleControl(link, type, label, offset, payload),
      askAgain: (address) => this.#askAgain(address),
      failed: (error) => this.#fail(error),
    })
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
      this.#receiveHalf(),
      0,
    )
    this.#nextId += 1
    stream.accept(local)
    this.#opened.set(stream.id, stream)
    if (this.#state === 'closing' || this.#state === 'over') stream.die('shutdown')
    else if (this.#isFull()) stream.die('overloaded')
    else this.#route([stream])
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
      openStreams: this.#opened.size + this.#accepted.size,
      tombstones: this.#tombstones.size,
      creditOutBytes: this.credit.usedBytes,
      unackedBytes: this.sendBudget.usedBytes,
      resumes: this.#resumes,
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
    for (const stream of this.#all()) {
      if (stream === hungry || stream.receive.spareCredit <= 0) continue
      if (now - stream.receive.lastDataMs >= IDLE_CREDIT_MS) stream.reclaim()
    }
  }
  needsRoute(stream: Stream): void {
    if (stream.isOpener && stream.route.is === 'down') this.#route([stream])
  }
  finished(stream: Stream): void {
    if (stream.isOpener) this.#opened.delete(stream.id)
    else {
      const key = keyOf(stream.peer, stream.peerIncarnation, stream.id)
      this.#accepted.delete(key)
      this.#tombstones.add(key, stream.endedCleanly, this.now())
    }
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
    const waiting: Stream[] = []
    for (const stream of this.#opened.values()) {
      if (stream.route.is === 'down' && this.#homes.linkTo(stream.peer) === link) waiting.push(stream)
    }
    if (isHome) {
      this.#watchOrphans(link)
      this.#options.events.attached({
        url: link.url,
        node: link.state.is === 'up' ? link.state.welcome.node : '',
        resumed: waiting.length,
      })
    }
    this.#route(waiting)
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
    this.#route(lost)
  }

  /** Asks to be told when openers that left streams behind are given up. */
  #watchOrphans(link: Link): void {
    const peers = new Map<string, { address: string; incarnation: string }>()
    for (const stream of this.#accepted.values()) {
      if (stream.route.is !== 'down') continue
      const peer = { address: stream.peer, incarnation: stream.peerIncarnation }
      peers.set(`${peer.address} ${peer.incarnation}`, peer)
    }
    for (const batch of batches([...peers.values()])) link.sendFrame(encodeWatch({ peers: batch }))
  }

  /** Opens or resumes what has no route, as far as there is a link for it. */
  #route(streams: readonly Stream[]): void {
    const resumable = new Map<string, Stream[]>()
    for (const stream of streams) {
      if (stream.isOver || stream.route.is !== 'down') continue
      const link = this.#homes.linkTo(stream.peer)
      if (link === undefined || !link.isUp) continue
      if (!link.canOpen) {
        stream.die('overloaded')
        continue
      }
      if (stream.generation === 0) this.#sendOpen(stream, link)
      else {
        const key = `${stream.peer} ${stream.peerIncarnation}`
        const group = resumable.get(key)
        if (group === undefined) resumable.set(key, [stream])
        else group.push(stream)
      }
    }
    for (const group of resumable.values()) for (const batch of batches(group)) this.#sendResume(batch)
  }

  #sendOpen(stream: Stream, link: Link): void {
    stream.generation = 1
    const label = link.assignLabel(stream)
    stream.route = { is: 'opening', link, label }
    link.sendFrame(
      encodeControl(FrameType.open, label, stream.receive.limit, {
        to: stream.peer,
        port: stream.port,
        id: stream.id,
      }),
    )
  }

  /** All of `streams` have one peer. */
  #sendResume(streams: readonly Stream[]): void {
    const [first] = streams
    const link = first && this.#homes.linkTo(first.peer)
    if (first === undefined || link === undefined) return
    const entries = streams.map((stream): ResumeEntry => {
      stream.generation += 1
      const label = link.assignLabel(stream)
      stream.route = { is: 'resuming', link, label }
      return {
        label,
        id: stream.id,
        generation: stream.generation,
        ...stream.receive.restate(),
        port: stream.peerIncarnation === '' ? stream.port : 0,
      }
    })
    this.#resumes += entries.length
    link.sendFrame(encodeResume({ peer: first.peer, incarnation: first.peerIncarnation, entries }))
  }

  // ---- frames ----

  #handleControl(link: Link, type: number, label: number, offset: number, payload: Buffer): void {
    switch (type) {
      case FrameType.open:
        return this.#handleOpen(link, label, offset, payload)
      case FrameType.opened:
        return this.#handleOpened(link, label, offset, payload)
      case FrameType.resume:
        return this.#handleResume(link, payload)
      case FrameType.resumed:
        return this.#handleResumed(link, payload)
      case FrameType.moved: {
        const moved = decodeMoved(payload)
        const streams = this.#takeLabels(link, moved.labels)
        this.#homes.moved(link, moved)
        return this.#route(streams)
      }
      case FrameType.routeDown:
        return this.#route(this.#takeLabels(link, decodeRouteDown(payload).labels))
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

  #handleOpen(link: Link, label: number, limit: number, payload: Buffer): void {
    link.noteRemoteLabel(label)
    const open = decodeIncoming(payload)
    const key = keyOf(open.from, open.incarnation, open.id)
    if (this.#accepted.has(key) || this.#tombstones.has(key)) {
      // A RESUME overtook it, over another relay: its opener has left this route.
      return link.sendSignal(FrameType.reset, label, resetReasons.lost)
    }
    this.#arrive(link, label, limit, open.from, open.incarnation, open.id, open.port, 1, 'opened')
  }

  #arrive(
    link: Link,
    label: number,
    limit: number,
    from: string,
    incarnation: string,
    id: number,
    port: number,
    generation: number,
    owes: 'opened' | 'resumed',
  ): void {
    const stream = new Stream(this, { isOpener: false, id, peer: from, port }, this.#receiveHalf(), limit)
    stream.peerIncarnation = incarnation
    stream.generation = generation
    stream.owes = owes
    stream.routeLive(link, label)
    link.bindLabel(label, stream)
    this.#accepted.set(keyOf(from, incarnation, id), stream)
    if (this.#state === 'closing') stream.reset('shutdown')
    else if (this.#isFull()) stream.reset('overloaded')
    else this.#options.events.incoming(this.#incoming(stream))
  }

  #incoming(stream: Stream): IncomingStream {
    return {
      peer: stream.peer,
      port: stream.port,
      get isOver() {
        return stream.state.is !== 'pending'
      },
      accept: (local) => {
        if (stream.state.is !== 'pending') {
          local.reset('aborted')
          return stream
        }
        stream.accept(local)
        this.#answer(stream)
        return stream
      },
      reject: (reason) => stream.reset(reason),
    }
  }

  /** Tells the opener that its stream is there. With no route, its RESUME will ask. */
  #answer(stream: Stream): void {
    if (stream.route.is !== 'live') return
    const { link, label } = stream.route
    const { incarnation } = this.#options
    if (stream.owes === 'opened') {
      link.sendFrame(encodeControl(FrameType.opened, label, stream.receive.limit, { incarnation }))
    } else if (stream.owes === 'resumed') {
      link.sendFrame(encodeResumed({ incarnation, entries: [liveEntry(stream, label)] }))
    }
    stream.owes = 'nothing'
    stream.schedule()
  }

  #handleOpened(link: Link, label: number, limit: number, payload: Buffer): void {
    const stream = link.labels.get(label)
    if (stream === undefined) return // reset or moved meanwhile
    if (stream.route.is !== 'opening') throw violation(`OPENED for label ${label}, which was not opening`)
    stream.routeLive(link, label)
    this.#homes.reached(stream.peer)
    stream.opened(decodeOpened(payload).incarnation, limit)
  }

  #handleResume(link: Link, payload: Buffer): void {
    const resume = decodeResume(payload)
    const answers: ResumedEntry[] = []
    const live: [Stream, ResumeEntry][] = []
    for (const entry of resume.entries) {
      link.noteRemoteLabel(entry.label)
      const key = keyOf(resume.peer, resume.incarnation, entry.id)
      const stream = this.#accepted.get(key)
      if (stream === undefined) {
        if (entry.port !== 0 && !this.#tombstones.has(key)) {
          const { label, limit, id, port, generation } = entry
          this.#arrive(link, label, limit, resume.peer, resume.incarnation, id, port, generation, 'resumed')
        } else answers.push(forgottenEntry(entry, this.#tombstones.wasClean(key)))
        continue
      }
      if (entry.generation <= stream.generation) {
        answers.push(forgottenEntry(entry, false)) // an older try that came late; its opener has retired this label
        continue
      }
      if (stream.route.is !== 'down' && stream.route.is !== 'ended')
        stream.route.link.closeLabel(stream.route.label)
      stream.generation = entry.generation
      stream.routeLive(link, entry.label)
      link.bindLabel(entry.label, stream)
      if (stream.state.is === 'pending') {
        stream.owes = 'resumed'
        stream.send_.raiseLimit(entry.limit)
        continue
      }
      stream.owes = 'nothing'
      answers.push(liveEntry(stream, entry.label))
      live.push([stream, entry])
    }
    this.#resumes += live.length
    // Before any stream speaks on its new route, its opener must know where it stands.
    if (answers.length > 0) {
      link.sendFrame(encodeResumed({ incarnation: this.#options.incarnation, entries: answers }))
    }
    for (const [stream, entry] of live) stream.resumed(entry.received, entry.limit)
  }

  #handleResumed(link: Link, payload: Buffer): void {
    const resumed = decodeResumed(payload)
    for (const entry of resumed.entries) {
      const stream = link.labels.get(entry.label)
      if (stream === undefined) continue
      if (stream.route.is !== 'resuming' || stream.generation !== entry.generation) {
        throw violation(
          `RESUMED for label ${entry.label}, which was not resuming generation ${entry.generation}`,
        )
      }
      if (entry.status !== 'live') {
        stream.peerForgot(entry.status === 'ended')
        continue
      }
      stream.routeLive(link, entry.label)
      this.#homes.reached(stream.peer)
      // In this order: a stream that was never opened must not send before it knows from where.
      stream.resumed(entry.received, entry.limit)
      stream.opened(resumed.incarnation, entry.limit)
    }
  }

  #peerGone(address: string, incarnation: string): void {
    for (const stream of this.#all()) {
      if (stream.peer !== address) continue
      if (incarnation === '' || stream.peerIncarnation === incarnation) stream.die('gone')
    }
  }

  #askAgain(address: string): void {
    this.#route([...this.#opened.values()].filter((stream) => stream.peer === address))
  }

  // ---- time ----

  #sweepLater(): void {
    this.#sweepTimer = this.#options.clock.after(1_000, () => {
      this.#sweep()
      if (this.#state !== 'over') this.#sweepLater()
    })
  }

  #sweep(): void {
    const now = this.now()
    this.#tombstones.sweep(now)
    this.#homes.sweep(now)
    for (const stream of this.#opened.values()) {
      if (stream.state.is === 'pending' && now - stream.openedAtMs > this.limits.openTimeoutMs)
        stream.fail('timeout')
      else this.#forgetReset(stream, now)
    }
    for (const stream of this.#accepted.values()) {
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
    if (this.#opened.size + this.#accepted.size === 0) this.#closeNow()
  }

  #closeNow(): void {
    if (this.#state !== 'closing') return
    this.#homes.goodbye()
    this.#over()
  }

  #over(): void {
    this.#state = 'over'
    for (const stream of this.#all()) stream.die('shutdown')
    this.#homes.stop()
    this.#sweepTimer?.cancel()
    this.#ackTimer?.cancel()
    this.#ackTimer = undefined
    this.#whenClosed?.()
  }

  *#all(): Generator<Stream> {
    yield* this.#opened.values()
    yield* this.#accepted.values()
  }

  /** Floors stand outside the budget, so they are what bounds the number of streams. */
  #isFull(): boolean {
    const streams = this.#opened.size + this.#accepted.size
    return (
      streams > this.limits.maxStreams ||
      streams * this.limits.floorBytes > 16 * this.limits.receiveBudgetBytes
    )
  }

  #receiveHalf(): ReceiveHalf {
    const { floorBytes, initialWindowBytes, maxWindowBytes } = this.limits
    return new ReceiveHalf(this.credit, floorBytes, initialWindowBytes, maxWindowBytes, ASSUMED_ROUND_TRIP_MS)
  }
}

function keyOf(opener: string, incarnation: string, id: number): string {
  return `${opener} ${incarnation} ${id}`
}

function liveEntry(stream: Stream, label: number): ResumedEntry {
  return { label, generation: stream.generation, status: 'live', ...stream.receive.restate() }
}

function forgottenEntry({ label, generation }: ResumeEntry, wasClean: boolean): ResumedEntry {
  return { label, generation, status: wasClean ? 'ended' : 'lost', received: 0, limit: 0 }
}

function batches<T>(all: readonly T[]): T[][] {
  const result: T[][] = []
  for (let at = 0; at < all.length; at += MAX_BATCH) result.push(all.slice(at, at + MAX_BATCH))
  return result
}
