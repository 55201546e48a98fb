/**
 * One link of an endpoint to a relay: handshake, labels, and whose turn it is to send. Knows
 * streams only by their turns and their frames; what a link is for (home or visit) is
 * endpoint.ts's business.
 */
import type { Pipe } from '../pipe/pipe.ts'
import type { Slab } from '../pipe/slab.ts'
import type { Clock, Timer } from '../time/clock.ts'
import { Pulse, pulsePeriod } from '../time/pulse.ts'
import { Rounds } from '../time/rounds.ts'
import {
  decodeMoved,
  decodeWelcome,
  encodeHello,
  encodeReceipts,
  encodeSignal,
  encodeText,
  type Hello,
  type Moved,
  type Welcome,
} from '../wire/control.ts'
import { FrameDecoder, type FrameHandler } from '../wire/decode.ts'
import { type CloseReason, closeReasonOf, closeReasons, RelayError, violation } from '../wire/errors.ts'
import { FrameType, HEADER_BYTES, MAX_LABEL, VERSION_MAX, VERSION_MIN, writeHeader } from '../wire/header.ts'
import type { Part } from './send-half.ts'
import { failStream, type Stream } from './stream.ts'

/** What a link tells its endpoint. */
export interface LinkEvents {
  /** The relay said WELCOME. */
  up(link: Link): void
  /** Over, for this reason; nothing is called after. */
  down(link: Link, error: RelayError): void
  /** GO_AWAY: move elsewhere within `leftMs`. */
  goAway(link: Link, leftMs: number, sentence: string): void
  /** STAY: what was said by GO_AWAY holds no more. */
  stay(link: Link): void
  /** HELLO was answered by the way to another relay. The link is over; nothing is called after. */
  redirected(link: Link, moved: Moved): void
  /** A control frame that is not the link's own. May throw `violation`. */
  control(link: Link, type: number, label: number, offset: number, payload: Buffer): void
}

export type LinkState =
  | { readonly is: 'handshaking'; readonly timer: Timer }
  | { readonly is: 'up'; readonly welcome: Welcome; readonly pulse: Pulse }
  | { readonly is: 'over' }

export interface LinkTuning {
  readonly keepaliveMs: number
  readonly silenceMs: number
  readonly handshakeMs: number
  /** Bytes a stream may send in its turn. */
  readonly quantumBytes: number
  /** Streams get no turn while this much waits for the kernel, bytes: control frames stay ahead of the rest. */
  readonly highWaterBytes: number
}

export class Link implements FrameHandler<Slab> {
  readonly url: string
  #state: LinkState
  readonly #pipe: Pipe
  readonly #clock: Clock
  readonly #events: LinkEvents
  readonly #tuning: LinkTuning
  readonly #decoder = new FrameDecoder<Slab>()
  readonly #streams = new Map<number, Stream>()
  #nextLabel = 1
  #highestRemoteLabel = 0
  #turns: Stream[] = []
  #turnHead = 0
  #isPumping = false
  /** What a read causes is gathered until its end. */
  #isInRead = false
  /** Streams that the current read brought bytes for. */
  readonly #reading: Stream[] = []
  /** When a label was last opened or closed, ms: a link without any is idle since then. */
  lastUsedMs: number

  /** Sends HELLO at once. `pipe` is connected; nobody else uses it. */
  constructor(url: string, pipe: Pipe, hello: Hello, clock: Clock, tuning: LinkTuning, events: LinkEvents) {
    this.url = url
    this.#pipe = pipe
    this.#clock = clock
    this.#tuning = tuning
    this.lastUsedMs = clock.now()
    this.#events = events
    const timer = clock.after(tuning.handshakeMs, () =>
      this.#close(
        new RelayError('timeout', `${url} did not answer HELLO within ${tuning.handshakeMs} ms`),
        true,
      ),
    )
    this.#state = { is: 'handshaking', timer }
    pipe.start({
      data: (slab, start, end) => this.#read(slab, start, end),
      drained: () => this.#pump(),
      closed: (reason) =>
        this.#close(
          new RelayError('silent', `${url} closed the connection${reason ? `: ${reason.message}` : ''}`),
          false,
        ),
    })
    pipe.write(encodeHello(hello))
  }

  get state(): LinkState {
    return this.#state
  }
  get isUp(): boolean {
    return this.#state.is === 'up'
  }
  /** Labels that are open. */
  get labels(): ReadonlyMap<number, Stream> {
    return this.#streams
  }
  get canOpen(): boolean {
    return (
      this.#state.is === 'up' &&
      this.#nextLabel < MAX_LABEL - 1 &&
      this.#streams.size < this.#state.welcome.maxStreams
    )
  }

  // ---- labels ----

  /** A label of our own (odd) for `stream`. */
  assignLabel(stream: Stream): number {
    const label = this.#nextLabel
    this.#nextLabel += 2
    this.#streams.set(label, stream)
    return label
  }
  /** The relay uses `label` (even, higher than any before). Throws `violation` otherwise. */
  noteRemoteLabel(label: number): void {
    if (label % 2 !== 0 || label <= this.#highestRemoteLabel) {
      throw violation(`relay opened label ${label}, expected an even one above ${this.#highestRemoteLabel}`)
    }
    this.#highestRemoteLabel = label
  }
  bindLabel(label: number, stream: Stream): void {
    this.#streams.set(label, stream)
  }
  /** What still comes for it drains silently. */
  closeLabel(label: number): void {
    this.lastUsedMs = this.#clock.now()
    this.#streams.delete(label)
  }

  // ---- sending ----

  /** A frame that is only a header, ahead of all streams' bytes. */
  sendSignal(type: number, label: number, offset: number): void {
    this.sendFrame(encodeSignal(type, label, offset))
  }

  /** A whole control frame, likewise. */
  sendFrame(frame: Buffer): void {
    if (this.#state.is !== 'up') return
    this.#state.pulse.sent(this.#clock.now())
    this.#pipe.write(frame)
  }

  /**
   * ACK and CREDIT of a stream, each -1 for none. A program takes its bytes write by write, and each
   * would be told in a write of its own: in a shuffle 1,380 of 2,900 writes to the relay were such.
   */
  sendReceipts(label: number, ack: number, credit: number): void {
    if (this.#state.is !== 'up') return
    this.#state.pulse.sent(this.#clock.now())
    this.#pipe.writeSoon(encodeReceipts(label, ack, credit))
  }

  /** `stream` has something to send; it gets its turn. */
  queue(stream: Stream): void {
    if (stream.isQueued) return
    stream.isQueued = true
    this.#turns.push(stream)
    this.#pump()
  }

  /** Only within `stream.sendTurn`. */
  sendData(label: number, part: Part): void {
    const { slab, start, end } = part
    if (part.headroom) {
      writeHeader(slab.bytes, start - HEADER_BYTES, FrameType.data, end - start, label, part.offset)
      this.#pipe.write(slab.bytes.subarray(start - HEADER_BYTES, end), slab)
      return
    }
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    writeHeader(header, 0, FrameType.data, end - start, label, part.offset)
    this.#pipe.write(header)
    this.#pipe.write(slab.bytes.subarray(start, end), slab)
  }

  /** Ends the link and tells the relay why. */
  close(reason: CloseReason, sentence: string): void {
    this.#close(new RelayError(reason, sentence), true)
  }

  /** Ends the link with no word: what the end of the process looks like. */
  abandon(): void {
    if (this.#state.is === 'over') return
    this.#enterOver()
    this.#pipe.destroy()
  }

  /** Ends the link after what is queued has left. */
  goodbye(): void {
    if (this.#state.is !== 'up') return
    this.sendSignal(FrameType.goodbye, 0, 0)
    this.#enterOver()
    this.#pipe.end()
  }

  /** Gives the streams their turns while the kernel takes bytes. */
  #pump(): void {
    if (this.#isPumping || this.#state.is !== 'up' || this.#turnHead === this.#turns.length) return
    this.#isPumping = true
    const { highWaterBytes, quantumBytes } = this.#tuning
    while (this.#turnHead < this.#turns.length && this.#pipe.queuedBytes < highWaterBytes) {
      if (!this.#isInRead) this.#pipe.cork()
      while (this.#turnHead < this.#turns.length && this.#pipe.queuedBytes < highWaterBytes) {
        const stream = this.#turns[this.#turnHead] as Stream
        this.#turnHead += 1
        stream.isQueued = false
        const route = stream.route
        if (route.is !== 'live' || route.link !== this) continue
        if (stream.sendTurn(this, route.label, quantumBytes) && !stream.isQueued) {
          stream.isQueued = true
          this.#turns.push(stream)
        }
      }
      if (!this.#isInRead) this.#pipe.uncork()
    }
    if (this.#turnHead === this.#turns.length || this.#turnHead > 1024) {
      this.#turns = this.#turns.slice(this.#turnHead)
      this.#turnHead = 0
    }
    if (this.#state.is === 'up') this.#state.pulse.sent(this.#clock.now())
    this.#isPumping = false
  }

  // ---- receiving ----

  #read(slab: Slab, start: number, end: number): void {
    if (this.#state.is === 'over') return
    if (this.#state.is === 'up') this.#state.pulse.received(this.#clock.now())
    this.#pipe.cork()
    this.#isInRead = true
    try {
      this.#decoder.push(slab.bytes, start, end, slab, this)
    } catch (error) {
      if (!(error instanceof RelayError)) throw error
      this.#close(error, true)
    } finally {
      this.#flushReading()
      this.#isInRead = false
      this.#pipe.uncork()
      this.#pump() // what was gathered may have been as much as may wait, and is gone
    }
  }

  /** A read holds several frames of one stream, where the relay cut them: the program gets them as one. */
  #flushReading(): void {
    const reading = this.#reading
    for (let at = 0; at < reading.length; at += 1) {
      const stream = reading[at] as Stream
      stream.isReading = false
      stream.flush()
    }
    reading.length = 0
  }

  handleData(
    label: number,
    offset: number,
    bytes: Buffer,
    start: number,
    end: number,
    _at: number,
    slab: Slab,
  ): void {
    const stream = this.#streams.get(label)
    if (stream === undefined) return this.#assertWasOpen(label)
    if (!stream.isReading) {
      stream.isReading = true
      this.#reading.push(stream)
    }
    try {
      stream.handleData(offset, bytes, start, end, slab)
    } catch (error) {
      failStream(stream, error)
    }
  }

  handleSignal(type: number, label: number, offset: number): void {
    if (label === 0) {
      if (type !== FrameType.ping) throw violation(`frame 0x${type.toString(16)} from a relay`)
      return // its bytes were the message
    }
    const stream = this.#streams.get(label)
    if (stream === undefined) {
      this.#assertWasOpen(label)
      // Whoever resets a stream that has left this label waits for the answer all the same.
      if (type === FrameType.reset) this.sendSignal(FrameType.resetAck, label, 0)
      return
    }
    try {
      stream.handleSignal(type, offset)
    } catch (error) {
      failStream(stream, error)
    }
  }

  handleControl(type: number, label: number, offset: number, payload: Buffer): void {
    if (type === FrameType.close) {
      this.#close(
        new RelayError(closeReasonOf(offset), `${this.url} closed the link: ${payload.toString('utf8')}`),
        false,
      )
      return
    }
    if (this.#state.is === 'handshaking') {
      if (type === FrameType.moved) {
        const moved = decodeMoved(payload)
        this.#enterOver()
        this.#pipe.destroy()
        return this.#events.redirected(this, moved)
      }
      if (type !== FrameType.welcome) throw violation(`frame 0x${type.toString(16)} before WELCOME`)
      return this.#welcome(decodeWelcome(payload), this.#state.timer)
    }
    if (type === FrameType.welcome) throw violation('a second WELCOME')
    if (type === FrameType.goAway) return this.#events.goAway(this, offset, payload.toString('utf8'))
    if (type === FrameType.stay) return this.#events.stay(this)
    this.#events.control(this, type, label, offset, payload)
  }

  #welcome(welcome: Welcome, timer: Timer): void {
    timer.cancel()
    if (welcome.version < VERSION_MIN || welcome.version > VERSION_MAX) {
      throw new RelayError(
        'version',
        `${this.url} chose version ${welcome.version}, offered ${VERSION_MIN} to ${VERSION_MAX}`,
      )
    }
    this.#decoder.allowAll()
    const keepaliveMs = Math.min(this.#tuning.keepaliveMs, welcome.keepaliveMs)
    const silenceMs = Math.max(this.#tuning.silenceMs, 2 * welcome.keepaliveMs)
    const rounds = new Rounds(this.#clock, pulsePeriod(keepaliveMs, silenceMs), 1)
    const pulse = new Pulse(this.#clock, rounds, keepaliveMs, silenceMs, {
      keepalive: () => this.sendSignal(FrameType.ping, 0, 0),
      silent: () =>
        this.#close(
          new RelayError('silent', `nothing came from ${this.url} for ${this.#tuning.silenceMs} ms`),
          true,
        ),
    })
    this.#state = { is: 'up', welcome, pulse }
    this.#events.up(this)
  }

  #assertWasOpen(label: number): void {
    const wasOpen = label % 2 === 1 ? label < this.#nextLabel : label <= this.#highestRemoteLabel
    if (!wasOpen) throw violation(`frame for label ${label}, which was never opened`)
  }

  #close(error: RelayError, tellRelay: boolean): void {
    if (this.#state.is === 'over') return
    this.#enterOver()
    if (tellRelay) {
      this.#pipe.write(encodeText(FrameType.close, closeReasons[error.code].wire, error.message))
      this.#pipe.end()
    } else this.#pipe.destroy()
    this.#events.down(this, error)
  }

  #enterOver(): void {
    if (this.#state.is === 'handshaking') this.#state.timer.cancel()
    else if (this.#state.is === 'up') this.#state.pulse.stop()
    this.#state = { is: 'over' }
    this.#decoder.stop()
    this.#turns = []
    this.#turnHead = 0
  }
}
