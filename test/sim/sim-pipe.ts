/**
 * Two ends of a connection in the simulation: latency, a kernel that takes only so much, reads
 * cut anywhere, and the ways in which a connection goes. Used by test/sim.
 */
import type { Pipe, PipeEvents } from '../../relay/pipe/pipe.ts'
import type { Slab } from '../../relay/pipe/slab.ts'
import { FrameType, HEADER_BYTES } from '../../relay/wire/header.ts'
import type { Party } from './party.ts'
import type { Dice } from './random.ts'

export interface Wire {
  /** One way, ms. */
  readonly latencyMs: number
  /** What both kernels together hold in one direction, bytes. */
  readonly kernelBytes: number
  /** Largest read. */
  readonly readBytes: number
}

interface Write {
  readonly bytes: Uint8Array
  readonly slab: Slab | undefined
  /** Bytes of it that the kernel has. */
  taken: number
}

/** One read buffer holds several reads, as those of real sockets do. */
const READS_A_SLAB = 3

export class SimPipe implements Pipe {
  readonly name: string
  readonly party: Party
  readonly #wire: Wire
  readonly #dice: Dice
  peer!: SimPipe
  queuedBytes = 0
  /** The most that ever waited here. */
  mostQueuedBytes = 0
  #events: PipeEvents | undefined
  readonly #queue: Write[] = []
  #isCorked = false
  #owesDrained = false
  /** Bytes that the kernels hold on the way from here to the peer. */
  #inKernels = 0
  /** What has arrived here and was not read. */
  #arrived: Buffer[] = []
  #readsAt = 0
  #isReadDue = false
  #isWakeDue = false
  #slab: Slab | undefined
  #slabAt = 0
  #isEnding = false
  #finSent = false
  #peerEnded: { readonly reason: Error | undefined } | undefined
  #isClosed = false
  #reason: Error | undefined
  /** Bytes written from here vanish. */
  isSilent = false
  /** A write that begins with a frame of this type (or with ACK and that) is lost, and all after it. */
  #loses: { readonly type: number; readonly then: () => void } | undefined
  /** On top of the wire's, ms. */
  #lagMs = 0
  #arrivesMs = 0
  /** Called when `left` more bytes have gone out. */
  #tripwire: { left: number; readonly trip: () => void } | undefined

  constructor(name: string, party: Party, wire: Wire, dice: Dice) {
    this.name = name
    this.party = party
    this.#wire = wire
    this.#dice = dice
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  // ---- Pipe ----

  start(events: PipeEvents): void {
    this.#events = events
    if (this.#isClosed) this.party.after(0, () => events.closed(this.#reason))
    else this.#readSoon()
  }

  write(bytes: Uint8Array, slab?: Slab): void {
    if (this.#isClosed || this.#isEnding) return
    const loses = this.#loses
    if (loses !== undefined && beginsWith(loses.type, bytes)) {
      this.#loses = undefined
      this.silence()
      this.party.after(0, loses.then)
    }
    slab?.retain()
    this.#queue.push({ bytes, slab, taken: 0 })
    this.queuedBytes += bytes.length
    if (!this.#isCorked) this.#flush()
    if (this.queuedBytes > this.mostQueuedBytes) this.mostQueuedBytes = this.queuedBytes
  }

  writeSoon(bytes: Uint8Array): void {
    if (this.#isCorked) return this.write(bytes)
    this.cork()
    this.write(bytes)
    this.#isCorked = false
    this.party.after(0, () => {
      if (!this.#isCorked) this.#flush()
    })
  }

  cork(): void {
    // Its end would come too soon for the rest; with real sockets such a link once fell silent for good.
    if (this.#isCorked) throw new Error(`${this.name} is corked already`)
    this.#isCorked = true
  }

  uncork(): void {
    this.#isCorked = false
    this.#flush()
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    this.#flush()
    this.party.after(1_000, () => this.destroy())
  }

  destroy(): void {
    this.closeEnd(undefined)
    if (!this.isSilent) this.#later(() => this.peer.#peerClosed(undefined))
  }

  // ---- faults ----

  /** This end learns that the connection is over; the other end does not. */
  closeEnd(reason: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { slab } of this.#queue) slab?.release()
    this.#queue.length = 0
    this.queuedBytes = 0
    this.#arrived = []
    this.#slab?.release()
    this.#slab = undefined
    this.#reason = reason
    const events = this.#events
    if (events !== undefined) this.party.after(0, () => events.closed(reason))
  }

  /** Both ends learn it now. */
  cut(): void {
    const reason = new Error('ECONNRESET')
    this.closeEnd(reason)
    this.peer.closeEnd(reason)
  }

  /** Only this end learns it; the other hears nothing for `laterMs`, or ever. */
  cutHere(laterMs: number | undefined): void {
    this.silence()
    this.closeEnd(new Error('ETIMEDOUT'))
    if (laterMs !== undefined)
      this.party.clock.after(laterMs, () => this.peer.closeEnd(new Error('ECONNRESET')))
  }

  /** Nothing that either end writes arrives; neither learns it. */
  silence(): void {
    this.isSilent = true
    this.peer.isSilent = true
  }

  /** The next frame of `type` that is written here, and all after it both ways, vanish; then `then` is called. */
  lose(type: number, then: () => void): void {
    this.#loses = { type, then }
  }

  /** What is written here from now on takes `ms` longer. */
  lag(ms: number): void {
    this.#lagMs = ms
  }

  /** This end is gone; what it has written still arrives, and nobody tells the other end. */
  vanish(): void {
    this.closeEnd(new Error('ETIMEDOUT'))
  }

  /** Calls `trip` in the middle of the write that passes `bytes` more. */
  after(bytes: number, trip: () => void): void {
    this.#tripwire = { left: bytes, trip }
  }

  // ---- inside ----

  #flush(): void {
    if (this.#isClosed) return
    const pieces: Buffer[] = []
    let room = this.#wire.kernelBytes - this.#inKernels
    while (room > 0) {
      const write = this.#queue[0]
      if (write === undefined) break
      const part = Math.min(room, write.bytes.length - write.taken)
      // Copied only now, as a kernel does: whoever changes bytes before that changes what is sent.
      pieces.push(Buffer.from(write.bytes.subarray(write.taken, write.taken + part)))
      write.taken += part
      room -= part
      this.queuedBytes -= part
      this.#inKernels += part
      if (write.taken === write.bytes.length) {
        this.#queue.shift()
        write.slab?.release()
      }
    }
    if (pieces.length > 0) this.#send(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces))
    if (this.#isClosed) return
    if (this.queuedBytes > 0) this.#owesDrained = true
    else if (this.#isEnding && !this.#finSent) {
      this.#finSent = true
      if (!this.isSilent) this.#later(() => this.peer.#peerClosed(undefined))
    }
  }

  #send(bytes: Buffer): void {
    const wire = this.#tripwire
    if (wire !== undefined) {
      wire.left -= bytes.length
      if (wire.left < 0) {
        this.#tripwire = undefined
        const arrives = bytes.subarray(0, bytes.length + wire.left)
        if (arrives.length > 0) this.#arrive(arrives)
        return wire.trip()
      }
    }
    this.#arrive(bytes)
  }

  #arrive(bytes: Buffer): void {
    if (this.isSilent) return
    this.#later(() => {
      if (this.isSilent) return
      this.peer.#arrived.push(bytes)
      this.peer.#readSoon()
    })
  }

  /** At the other end, never before what was sent earlier. */
  #later(callback: () => void): void {
    const { clock } = this.party
    this.#arrivesMs = Math.max(this.#arrivesMs, clock.now() + this.#wire.latencyMs + this.#lagMs)
    clock.after(this.#arrivesMs - clock.now(), callback)
  }

  #readSoon(): void {
    if (this.#isReadDue || this.#events === undefined) return
    if (this.#arrived.length === 0 && this.#peerEnded === undefined) return
    this.#isReadDue = true
    this.party.after(0, () => {
      this.#isReadDue = false
      this.#read()
    })
  }

  #read(): void {
    if (this.#isClosed) return
    const first = this.#arrived[0]
    if (first === undefined) {
      const over = this.#peerEnded
      if (over !== undefined) this.closeEnd(over.reason)
      return
    }
    const { readBytes } = this.#wire
    const most = Math.min(readBytes, first.length - this.#readsAt)
    // Mostly what is there, sometimes cut anywhere.
    const length = this.#dice.chance(0.8) ? most : this.#dice.between(1, most)
    if (this.#slab === undefined || this.#slab.bytes.length - this.#slabAt < length) {
      this.#slab?.release()
      this.#slab = this.party.slab(READS_A_SLAB * readBytes)
      this.#slabAt = 0
    }
    const slab = this.#slab
    const start = this.#slabAt
    first.copy(slab.bytes, start, this.#readsAt, this.#readsAt + length)
    this.#slabAt += length
    this.#readsAt += length
    if (this.#readsAt === first.length) {
      this.#arrived.shift()
      this.#readsAt = 0
    }
    const { peer } = this
    peer.#inKernels -= length
    // As kernels do: a writer that waits is woken when half of it is free, not for each byte.
    if (peer.#queue.length > 0 && peer.#inKernels <= this.#wire.kernelBytes / 2) peer.#kernelHasRoom()
    slab.retain()
    this.#events?.data(slab, start, start + length)
    slab.release()
    if (this.#slab === slab && !slab.isShared) this.#slabAt = 0
    this.#readSoon()
  }

  #kernelHasRoom(): void {
    if (this.#isWakeDue) return
    this.#isWakeDue = true
    this.party.after(this.#wire.latencyMs, () => {
      this.#isWakeDue = false
      if (this.#isClosed) return
      this.#flush()
      if (this.#owesDrained && this.queuedBytes === 0 && !this.#isClosed) {
        this.#owesDrained = false
        this.#events?.drained()
      }
    })
  }

  #peerClosed(reason: Error | undefined): void {
    if (this.#isClosed || this.#peerEnded !== undefined) return
    this.#peerEnded = { reason }
    this.#readSoon()
  }
}

function beginsWith(type: number, bytes: Uint8Array): boolean {
  return bytes[0] === type || (bytes[0] === FrameType.ack && bytes[HEADER_BYTES] === type)
}

/** A connection between two parties. */
export function pipePair(name: string, a: Party, b: Party, wire: Wire, dice: Dice): [SimPipe, SimPipe] {
  const one = new SimPipe(`${name} at ${a.name}`, a, wire, dice)
  const other = new SimPipe(`${name} at ${b.name}`, b, wire, dice)
  one.peer = other
  other.peer = one
  return [one, other]
}
