/**
 * One link at a relay. The hot path of the whole product: a read is decoded where it lies,
 * labels are rewritten in place, and what goes to one other link leaves as one slice of the
 * read buffer. No payload byte is copied; work is O(1) a frame. Driven by node.ts.
 */
import type { Pipe, PipeEvents } from '../pipe/pipe.ts'
import type { Slab } from '../pipe/slab.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { Pulse, PulseEvents } from '../time/pulse.ts'
import { encodeSignal, encodeText, type TrafficClass } from '../wire/control.ts'
import { FrameDecoder, type FrameHandler } from '../wire/decode.ts'
import {
  type CloseReason,
  closeReasonOf,
  closeReasons,
  RelayError,
  resetReasonOf,
  violation,
} from '../wire/errors.ts'
import { FrameType, HEADER_BYTES, MAX_LABEL, rewriteHeader, writeHeader } from '../wire/header.ts'
import type { RelayLimits } from './limits.ts'
import type { RelayMetrics } from './metrics.ts'
import type { Identity } from './node-context.ts'
import type { Residence } from './residence.ts'
import { RouteEnd } from './route.ts'

/**
 * greeting: HELLO has not come. verifying: its token is looked at. up: frames flow.
 * over: nothing goes on.
 */
export type RelayLinkState =
  | { readonly is: 'greeting'; readonly timer: Timer }
  | { readonly is: 'verifying'; readonly timer: Timer }
  | { readonly is: 'up'; readonly who: Attached; readonly pulse: Pulse }
  | { readonly is: 'over' }

/** Who is at the other end of a link that is up. */
export interface Attached extends Identity {
  readonly class: TrafficClass
  readonly mode: 'attach' | 'visit'
  readonly incarnation: string
  readonly counter: number
}

/** What a link needs of its node. */
export interface LinkHost {
  readonly clock: Clock
  readonly limits: RelayLimits
  readonly metrics: RelayMetrics
  /** Above this many queued bytes a link is closed. */
  readonly queueCapBytes: number
  /** Between these, writes to one link are gathered; they nest. */
  beginBatch(): void
  endBatch(): void
  corkForBatch(link: RelayLink): void
  /** HELLO came: looks at it, and calls `becomeUp`, `leaveBy` or `close`. */
  handleHello(link: RelayLink, payload: Buffer): void
  /** A control frame of a link that is up. May throw RelayError. */
  handleControl(link: RelayLink, type: number, label: number, offset: number, payload: Buffer): void
  goodbye(link: RelayLink): void
  /** The endpoint reset a stream that was still waiting. */
  cancelAsk(end: RouteEnd): void
  /** Both ends of a route are done. */
  endRoute(a: RouteEnd, b: RouteEnd): void
  closeOverlong(link: RelayLink): void
  /** It was sent elsewhere before it was up. */
  linkLeft(link: RelayLink): void
  /** It is over. `who` undefined: it never got through its handshake. */
  linkLost(link: RelayLink, who: Attached | undefined, error: RelayError): void
  reportFault(error: unknown): void
}

/** What all links have that no label was opened on: an empty Map each would be a tenth of an idle link. Never written to. */
const noEnds = new Map<number, RouteEnd>()

// It is itself what its pipe, its decoder and its pulse call: objects and closures for that, a set
// a link, would be a tenth of an idle one again.
export class RelayLink implements FrameHandler<Slab>, PipeEvents, PulseEvents {
  state: RelayLinkState
  readonly pipe: Pipe
  readonly remote: string
  readonly node: LinkHost
  readonly #decoder = new FrameDecoder<Slab>()
  #ends = noEnds
  #nextLabel = 2
  #highestRemoteLabel = 0
  #class: TrafficClass = 'bulk'
  /** Addresses that it asked to be told of. Owned by residence.ts: when the link is lost, only these are visited. */
  watched: Set<Residence> | undefined
  /** Corked by the node until the read that is being decoded is done. */
  isCorked = false
  /** A stretch of the current read that goes to one link in one write. */
  #runTo: RelayLink | undefined
  #runBytes: Buffer | undefined
  #runSlab: Slab | undefined
  #runStart = 0
  #runEnd = 0
  /** Frames other than DATA that may still come before the next refill. */
  #controlTokens: number
  #controlRefilledMs: number

  constructor(node: LinkHost, pipe: Pipe, remote: string) {
    this.node = node
    this.pipe = pipe
    this.remote = remote
    const { clock, limits } = node
    this.#controlTokens = 2 * limits.controlFramesPerSecond
    this.#controlRefilledMs = clock.now()
    const timer = clock.after(limits.handshakeMs, () =>
      this.close(new RelayError('timeout', `no valid HELLO within ${limits.handshakeMs} ms`)),
    )
    this.state = { is: 'greeting', timer }
    pipe.start(this)
  }

  /** Only in state `up`. */
  get who(): Attached {
    if (this.state.is !== 'up') throw new Error(`link ${this.pipe.name} is ${this.state.is}`)
    return this.state.who
  }
  get isUp(): boolean {
    return this.state.is === 'up'
  }
  get ends(): ReadonlyMap<number, RouteEnd> {
    return this.#ends
  }

  /** The node has accepted the HELLO. */
  becomeUp(who: Attached, pulse: Pulse): void {
    this.#class = who.class
    this.#decoder.allowAll()
    this.state = { is: 'up', who, pulse }
  }

  // ---- labels ----

  /** The endpoint opens `label`. Throws `violation` when it is used, even, or not above all before. */
  takeLabel(label: number, ask: RouteEnd['ask']): RouteEnd {
    if (label % 2 !== 1 || label <= this.#highestRemoteLabel) {
      throw violation(`label ${label} was opened, expected an odd one above ${this.#highestRemoteLabel}`)
    }
    this.#highestRemoteLabel = label
    const end = new RouteEnd(this, label, ask)
    this.#addEnd(end)
    return end
  }
  /** A label of ours towards the endpoint. */
  giveLabel(): RouteEnd {
    const end = new RouteEnd(this, this.#nextLabel)
    this.#nextLabel += 2
    this.#addEnd(end)
    return end
  }
  #addEnd(end: RouteEnd): void {
    if (this.#ends === noEnds) this.#ends = new Map()
    this.#ends.set(end.label, end)
  }
  get canOpen(): boolean {
    return this.#ends.size < this.node.limits.maxStreams && this.#nextLabel < MAX_LABEL - 1
  }
  closeEnd(end: RouteEnd): void {
    this.#ends.delete(end.label)
  }

  // ---- sending ----

  /** Sends a frame of ours, behind what is queued. */
  send(frame: Buffer): void {
    if (this.state.is !== 'up') return
    this.state.pulse.sent(this.node.clock.now())
    this.#put(frame, undefined)
  }

  #put(bytes: Buffer, slab: Slab | undefined): void {
    this.node.corkForBatch(this)
    this.pipe.write(bytes, slab)
  }

  // ---- receiving ----

  /** For the pipe, as the next two. */
  data(slab: Slab, start: number, end: number): void {
    if (this.state.is === 'over') return
    if (this.state.is === 'up') this.state.pulse.received(this.node.clock.now())
    this.node.beginBatch()
    try {
      this.#decoder.push(slab.bytes, start, end, slab, this)
      this.#flushRun()
    } catch (error) {
      this.#flushRun()
      this.close(
        error instanceof RelayError
          ? error
          : new RelayError('internal', 'a fault of the relay', { cause: error }),
      )
      if (!(error instanceof RelayError)) this.node.reportFault(error)
    } finally {
      this.node.endBatch()
    }
  }

  drained(): void {}

  closed(reason: Error | undefined): void {
    this.lost(new RelayError('silent', reason === undefined ? 'the connection ended' : reason.message))
  }

  /** For the pulse, as the next one. */
  keepalive(): void {
    this.send(encodeSignal(FrameType.ping, 0, 0))
  }

  silent(): void {
    this.close(new RelayError('silent', `nothing came for ${this.node.limits.silenceMs} ms`))
  }

  handleData(
    label: number,
    offset: number,
    bytes: Buffer,
    start: number,
    end: number,
    headerAt: number,
    slab: Slab,
  ): void {
    const from = this.#ends.get(label)
    const length = end - start
    if (from === undefined) {
      this.#assertWasOpen(label)
      this.node.metrics.droppedBytes[this.#class] += length
      return
    }
    const to = from.other
    if (to === undefined) throw violation(`DATA on label ${label} before it was opened`)
    if (offset + length > from.limit) {
      throw violation(`DATA on label ${label} to ${offset + length}, credit ends at ${from.limit}`)
    }
    const { metrics } = this.node
    metrics.forwardedBytes[this.#class] += length
    metrics.forwardedFrames[this.#class] += 1
    if (headerAt >= 0) {
      rewriteHeader(bytes, headerAt, length, to.label)
      this.#forward(to.link, bytes, headerAt, end, slab)
      return
    }
    // The frame's header was in an earlier read: this part gets a header of its own.
    this.#flushRun()
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    writeHeader(header, 0, FrameType.data, length, to.label, offset)
    if (to.link.isUp) to.link.#put(header, undefined)
    this.#forward(to.link, bytes, start, end, slab)
  }

  handleSignal(
    type: number,
    label: number,
    offset: number,
    bytes: Buffer,
    headerAt: number,
    slab: Slab,
  ): void {
    this.#spendControl(1)
    if (this.state.is !== 'up') throw violation('frames before HELLO')
    if (label === 0) {
      this.#flushRun()
      if (type === FrameType.goodbye) return this.node.goodbye(this)
      if (type !== FrameType.ping) throw violation(`frame 0x${type.toString(16)} from an endpoint`)
      return
    }
    const from = this.#ends.get(label)
    if (from === undefined) return this.#assertWasOpen(label)
    const to = from.other
    if (to === undefined) {
      if (type !== FrameType.reset)
        throw violation(`frame 0x${type.toString(16)} on label ${label}, which is not open yet`)
      this.#flushRun()
      this.node.cancelAsk(from)
      return this.send(encodeSignal(FrameType.resetAck, label, 0))
    }
    if ((from.owes ?? to.owes) !== undefined && type !== FrameType.reset && type !== FrameType.resetAck) {
      throw violation(`frame 0x${type.toString(16)} on label ${label}, which was not answered yet`)
    }
    this.#noteSignal(type, offset, from, to)
    rewriteHeader(bytes, headerAt, 0, to.label)
    this.node.metrics.forwardedFrames[this.#class] += 1
    if (bytes === slab.bytes) this.#forward(to.link, bytes, headerAt, headerAt + HEADER_BYTES, slab)
    else {
      this.#flushRun()
      if (to.link.isUp) to.link.#put(bytes, undefined)
    }
    if (type !== FrameType.resetAck && type !== FrameType.done) return
    // If that was too much for the other link, it is over by now, and its routes with it.
    if (from.other === to && this.#ends.get(label) === from) this.node.endRoute(from, to)
  }

  /** What a relay must know of the frames that it passes on. */
  #noteSignal(type: number, offset: number, from: RouteEnd, to: RouteEnd): void {
    switch (type) {
      case FrameType.credit:
        if (offset > to.limit) to.limit = offset
        return
      case FrameType.reclaimed:
        if (offset > from.limit) throw violation(`RECLAIMED to ${offset}, credit was ${from.limit}`)
        from.limit = offset
        return
      case FrameType.done:
        if (from.label % 2 === 1) throw violation(`DONE on label ${from.label}, it is the acceptor's to say`)
        return
      case FrameType.reset:
        this.node.metrics.resetsForwarded[resetReasonOf(offset)] += 1
        return
    }
  }

  handleControl(type: number, label: number, offset: number, payload: Buffer): void {
    this.#flushRun()
    if (type === FrameType.close) {
      const reason = closeReasonOf(offset)
      this.lost(
        new RelayError(
          reason === 'goodbye' ? 'goodbye' : 'silent',
          `the endpoint closed the link (${reason})`,
        ),
      )
      this.pipe.destroy()
      return
    }
    this.#spendControl(1)
    if (this.state.is === 'greeting') {
      if (type !== FrameType.hello) throw violation(`frame 0x${type.toString(16)} before HELLO`)
      this.state = { is: 'verifying', timer: this.state.timer }
      return this.node.handleHello(this, payload)
    }
    if (this.state.is !== 'up') throw violation('frames before WELCOME')
    this.node.handleControl(this, type, label, offset, payload)
  }

  /** Counts frames other than DATA; a RESUME counts each of its streams. Throws `overloaded` over the limit. */
  #spendControl(count: number): void {
    this.#controlTokens -= count
    if (this.#controlTokens >= 0) return
    const perSecond = this.node.limits.controlFramesPerSecond
    const now = this.node.clock.now()
    this.#controlTokens += ((now - this.#controlRefilledMs) * perSecond) / 1000
    this.#controlTokens = Math.min(this.#controlTokens, 2 * perSecond)
    this.#controlRefilledMs = now
    if (this.#controlTokens < 0)
      throw new RelayError('overloaded', `more than ${perSecond} control frames a second`)
  }
  spendControl(count: number): void {
    this.#spendControl(count)
  }

  /** Adds a stretch of the current read to the run, or begins a new one. */
  #forward(to: RelayLink, bytes: Buffer, start: number, end: number, slab: Slab): void {
    if (this.#runTo === to && this.#runEnd === start) {
      this.#runEnd = end
      return
    }
    this.#flushRun()
    this.#runTo = to
    this.#runBytes = bytes
    this.#runSlab = slab
    this.#runStart = start
    this.#runEnd = end
  }

  /**
   * Sends the run. Before anything else is put on any link: the header of a frame that was cut by
   * a read is out already, and its bytes are this run; also what was said first goes first.
   */
  #flushRun(): void {
    const to = this.#runTo
    const slab = this.#runSlab
    if (to === undefined || slab === undefined) return
    this.#runTo = undefined
    this.#runSlab = undefined
    if (to.state.is !== 'up') return
    to.state.pulse.sent(this.node.clock.now())
    const bytes = (this.#runBytes as Buffer).subarray(this.#runStart, this.#runEnd)
    to.#put(bytes, slab)
    if (to.pipe.queuedBytes > this.node.queueCapBytes) this.node.closeOverlong(to)
  }

  /** Throws `violation` for a label that was never opened. */
  assertWasOpen(label: number): void {
    this.#assertWasOpen(label)
  }

  #assertWasOpen(label: number): void {
    const wasOpen = label % 2 === 1 ? label <= this.#highestRemoteLabel : label < this.#nextLabel
    if (!wasOpen) throw violation(`frame for label ${label}, which was never opened`)
  }

  // ---- ending ----

  /** Ends the link and says why. */
  close(error: RelayError): void {
    if (this.state.is === 'over') return
    this.#tell(error.code, error.message)
    this.lost(error)
  }

  /** Ends a link whose HELLO is answered by neither WELCOME nor CLOSE, but by the way to another relay. */
  leaveBy(frame: Buffer): void {
    if (this.state.is !== 'verifying') return
    this.state.timer.cancel()
    this.state = { is: 'over' }
    this.#decoder.stop()
    this.pipe.write(frame)
    this.pipe.end()
    this.node.linkLeft(this)
  }

  #tell(code: CloseReason, sentence: string): void {
    this.pipe.write(encodeText(FrameType.close, closeReasons[code].wire, sentence))
    this.pipe.end()
  }

  /** The link is over, whoever ended it. */
  lost(error: RelayError): void {
    if (this.state.is === 'over') return
    const before = this.state
    this.state = { is: 'over' }
    this.#decoder.stop()
    if (before.is === 'up') before.pulse.stop()
    else before.timer.cancel()
    if (error.code === 'silent') this.pipe.destroy()
    this.node.linkLost(this, before.is === 'up' ? before.who : undefined, error)
    this.#ends.clear()
  }
}
