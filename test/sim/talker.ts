/**
 * The program behind one end of a stream: writes a known pattern in pieces, reads as fast or as
 * slowly as it is told, checks every byte, and notes how it ended. Used by test/sim.
 */

import type { LocalSide, StreamHandle } from '../../relay/endpoint/index.ts'
import type { Slab } from '../../relay/pipe/slab.ts'
import { HEADER_BYTES, type ResetReason } from '../../relay/wire/index.ts'
import type { Party } from './party.ts'
import { Dice, randomOf } from './random.ts'

const PATTERN_BYTES = 1 << 20
const pattern = Buffer.allocUnsafeSlow(PATTERN_BYTES)
{
  const random = randomOf(1)
  for (let i = 0; i < PATTERN_BYTES / 2; i++) pattern[i] = Math.floor(random() * 256)
  pattern.copyWithin(PATTERN_BYTES / 2, 0) // whatever begins in the first half is the same beyond it
}

/** What one end of a stream does. */
export interface Script {
  /** Bytes to write before the half-close. */
  readonly writes: number
  /** Largest piece, bytes. */
  readonly pieceBytes: number
  /** Between writes, ms. 0: as fast as there is room. */
  readonly pauseMs: number
  /** From the arrival of bytes until the program has read them, ms. 0: at once. */
  readonly readDelayMs: number
  /** Reads nothing from this offset on until so many ms after it got there. */
  readonly freezeAt?: number
  readonly freezeMs?: number
  /** Resets the stream when so many bytes have been read. */
  readonly resetAt?: number
  /** Never half-closes by itself. */
  readonly keepsOpen?: boolean
  /** Half-closes only once the peer has. */
  readonly endsLast?: boolean
  /** An acceptor: from the OPEN until it accepts, ms. Absent: at once. */
  readonly acceptsAfterMs?: number
}

export type Ending = { readonly is: 'closed' } | { readonly is: 'reset'; readonly reason: ResetReason }

export class Talker implements LocalSide {
  readonly name: string
  readonly party: Party
  readonly script: Script
  readonly #dice: Dice
  readonly #writesFrom: number
  readonly #readsFrom: number
  handle: StreamHandle | undefined
  isOpened = false
  written = 0
  arrived = 0
  read = 0
  sawEnd = false
  hasEnded = false
  hasReset = false
  ending: Ending | undefined
  endedAtMs = -1
  /** What must never be: the first one is kept. */
  fault: string | undefined
  #isWriteDue = false
  #isFinishing = false
  readonly #unread: { readonly slab: Slab; readonly start: number; readonly end: number }[] = []
  #isReadDue = false
  #frozenUntilMs = -1
  #whenOver: (() => void) | undefined

  /** `writesFrom`, `readsFrom`: where in the pattern the two directions begin. */
  constructor(
    name: string,
    party: Party,
    script: Script,
    seed: number,
    writesFrom: number,
    readsFrom: number,
  ) {
    this.name = name
    this.party = party
    this.script = script
    this.#dice = new Dice(seed)
    this.#writesFrom = writesFrom
    this.#readsFrom = readsFrom
  }

  whenOver(callback: () => void): void {
    this.#whenOver = callback
  }

  /** The stream exists; an acceptor may write at once, an opener too. */
  begin(handle: StreamHandle): void {
    this.handle = handle
    if (this.ending === undefined) this.#writeSoon(0)
  }

  reset_(reason: ResetReason): void {
    if (this.ending !== undefined || this.hasReset) return
    this.hasReset = true
    this.#over({ is: 'reset', reason })
    this.handle?.reset(reason)
  }

  end(): void {
    if (this.hasEnded || this.hasReset) return
    this.hasEnded = true
    this.handle?.end()
  }

  /** No more waiting: half-closes as soon as everything is written. */
  finish(): void {
    this.#isFinishing = true
    if (this.written === this.script.writes) this.end()
  }

  describe(): string {
    const { written, arrived, read, sawEnd, hasEnded, isOpened } = this
    return JSON.stringify({ written, of: this.script.writes, arrived, read, sawEnd, hasEnded, isOpened })
  }

  // ---- LocalSide ----

  opened(): void {
    if (this.isOpened) this.#blame('opened twice')
    this.isOpened = true
    this.#assertAlive('opened')
  }

  deliver(bytes: Buffer, start: number, end: number, slab: Slab): void {
    this.#assertAlive('deliver')
    if (this.sawEnd) this.#blame('bytes after the end')
    if (end <= start) this.#blame(`${end - start} bytes were delivered`)
    if (!isPattern(bytes, start, end, this.#readsFrom + this.arrived))
      this.#blame(`wrong bytes at ${this.arrived}`)
    this.arrived += end - start
    const { script } = this
    if (script.freezeAt !== undefined && this.arrived >= script.freezeAt && this.#frozenUntilMs < 0) {
      this.#frozenUntilMs = this.party.now() + (script.freezeMs ?? 0)
    }
    if (script.readDelayMs === 0 && this.#unread.length === 0 && this.party.now() >= this.#frozenUntilMs) {
      this.#hasRead(end - start)
      return
    }
    slab.retain()
    this.#unread.push({ slab, start, end })
    this.#readSoon()
  }

  ended(): void {
    this.#assertAlive('ended')
    if (this.sawEnd) this.#blame('ended twice')
    this.sawEnd = true
    if (this.script.endsLast && this.written === this.script.writes) this.end()
  }

  reset(reason: ResetReason): void {
    this.#assertAlive('reset')
    this.#over({ is: 'reset', reason })
  }

  writable(): void {
    this.#assertAlive('writable')
    this.#writeSoon(0)
  }

  closed(): void {
    this.#assertAlive('closed')
    if (!this.sawEnd || !this.hasEnded) this.#blame('closed before both halves ended')
    if (this.read !== this.arrived) this.#blame(`closed with ${this.arrived - this.read} bytes unread`)
    this.#over({ is: 'closed' })
  }

  // ---- inside ----

  #over(ending: Ending): void {
    if (this.ending !== undefined) return
    this.ending = ending
    this.endedAtMs = this.party.now()
    for (const { slab } of this.#unread) slab.release()
    this.#unread.length = 0
    this.#whenOver?.()
  }

  #assertAlive(what: string): void {
    if (this.ending !== undefined) this.#blame(`${what} after it was ${this.ending.is}`)
  }

  #blame(fault: string): void {
    this.fault ??= `${this.name}: ${fault}`
  }

  #writeSoon(ms: number): void {
    if (this.#isWriteDue) return
    this.#isWriteDue = true
    this.party.after(ms, () => {
      this.#isWriteDue = false
      this.#write()
    })
  }

  #write(): void {
    const { handle, script } = this
    if (handle === undefined || this.ending !== undefined || this.hasEnded) return
    for (;;) {
      const left = script.writes - this.written
      if (left === 0) {
        if (this.#isFinishing || (!script.keepsOpen && (!script.endsLast || this.sawEnd))) this.end()
        return
      }
      const length = this.#dice.between(1, Math.min(left, script.pieceBytes))
      const slab = this.party.slab(HEADER_BYTES + script.pieceBytes)
      const from = (this.#writesFrom + this.written) % (PATTERN_BYTES / 2)
      pattern.copy(slab.bytes, HEADER_BYTES, from, from + length)
      this.written += length
      const hasRoom = handle.send(slab, HEADER_BYTES, HEADER_BYTES + length)
      if (this.ending !== undefined || !hasRoom) return
      if (script.pauseMs > 0) return this.#writeSoon(script.pauseMs)
    }
  }

  #readSoon(): void {
    if (this.#isReadDue) return
    this.#isReadDue = true
    const wait = Math.max(this.script.readDelayMs, this.#frozenUntilMs - this.party.now())
    this.party.after(wait, () => {
      this.#isReadDue = false
      let bytes = 0
      for (const { slab, start, end } of this.#unread) {
        if (!isPattern(slab.bytes, start, end, this.#readsFrom + this.read + bytes))
          this.#blame(`changed bytes at ${this.read + bytes}`)
        bytes += end - start
        slab.release()
      }
      this.#unread.length = 0
      if (bytes > 0) this.#hasRead(bytes)
    })
  }

  #hasRead(bytes: number): void {
    // In two steps now and then: a socket takes what it can.
    const first = bytes > 1 && this.#dice.chance(0.2) ? this.#dice.between(1, bytes - 1) : bytes
    this.read += bytes
    const resetAt = this.script.resetAt
    if (this.handle === undefined) this.#blame('bytes before the stream was there')
    this.handle?.delivered(first)
    if (first < bytes && this.ending === undefined) this.handle?.delivered(bytes - first)
    if (resetAt !== undefined && this.read >= resetAt) this.reset_('aborted')
  }
}

function isPattern(bytes: Buffer, start: number, end: number, at: number): boolean {
  const from = at % (PATTERN_BYTES / 2)
  return pattern.compare(bytes, start, end, from, from + end - start) === 0
}
