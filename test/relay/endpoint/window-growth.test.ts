import { describe, expect, it } from 'vitest'
import { CreditBudget } from '../../../relay/endpoint/credit.ts'
import { FairRate } from '../../../relay/endpoint/fair-rate.ts'
import { ReceiveHalf } from '../../../relay/endpoint/receive-half.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** `roundTripMs` absent: not known yet. */
function receiveHalf(fairRate = new FairRate(), roundTripMs = 1_000): ReceiveHalf {
  return new ReceiveHalf(new CreditBudget(32 * MiB), fairRate, 16 * KiB, 256 * KiB, 8 * MiB, {
    ms: roundTripMs,
  })
}

/** `bytes` come and are delivered, within credit. Credit is renewed as a stream would. */
function bring(half: ReceiveHalf, bytes: number, nowMs: number): void {
  const length = Math.min(bytes, half.limit - half.received)
  half.accept(half.received, length, nowMs)
  half.markDelivered(length)
  half.takeCredit(nowMs)
}

/** A sender with always something to send, in pieces, over a way of `roundTripMs`. Returns the MiB/s of the last second. */
function run(half: ReceiveHalf, roundTripMs: number, pieceBytes: number, seconds: number): number {
  const oneWayMs = roundTripMs / 2
  const way: { atMs: number; act: () => void }[] = []
  let sent = 0
  let limit = half.limit
  let deliveredBefore = 0
  const send = (nowMs: number): void => {
    while (sent < limit) {
      const [offset, length] = [sent, Math.min(pieceBytes, limit - sent)]
      sent += length
      way.push({ atMs: nowMs + oneWayMs, act: () => receive(offset, length, nowMs + oneWayMs) })
    }
  }
  const receive = (offset: number, length: number, nowMs: number): void => {
    half.accept(offset, length, nowMs)
    half.markDelivered(length)
    if (!half.isAckUrgent && !half.isStarved) return
    const credit = half.takeCredit(nowMs)
    half.takeAck()
    if (credit < 0) return
    way.push({
      atMs: nowMs + oneWayMs,
      act: () => {
        limit = credit
        send(nowMs + oneWayMs)
      },
    })
  }
  send(0)
  while (way.length > 0) {
    way.sort((a, b) => a.atMs - b.atMs)
    const next = way.shift() as (typeof way)[number]
    if (next.atMs > seconds * 1_000) break
    if (next.atMs <= (seconds - 1) * 1_000) deliveredBefore = half.delivered
    next.act()
  }
  return (half.delivered - deliveredBefore) / MiB
}

describe('a window', () => {
  it.each([16 * KiB, 131_056, 262_128])(
    'grows until it covers a round trip of 20 ms, with pieces of %i bytes',
    (piece) => {
      const half = receiveHalf()
      // 8 MiB a round trip of 20 ms are 400 MiB/s; what is not yet renewed takes up to a quarter of it.
      expect(run(half, 20, piece, 3)).toBeGreaterThan(250)
      expect(half.window).toBe(8 * MiB)
    },
  )

  it('holds the fair share of all that comes, though its own stream has fallen behind', () => {
    const fairRate = new FairRate()
    const [ahead, behind] = [receiveHalf(fairRate, 6), receiveHalf(fairRate, 6)]
    for (let nowMs = 1; nowMs < 500; nowMs += 5) {
      bring(ahead, 900 * KiB, nowMs)
      bring(behind, 50 * KiB, nowMs)
    }
    // 2 × 6 ms of half of what came.
    expect(ahead.delivered).toBeGreaterThan(10 * behind.delivered)
    const share = (ahead.delivered + behind.delivered) / 2 / 500
    expect(behind.window).toBeGreaterThan(0.7 * 12 * share)
  })

  it('is not made larger by a burst than by the same bytes evenly', () => {
    const half = receiveHalf(new FairRate(), 6)
    for (let nowMs = 1; nowMs < 1_000; nowMs += 60) {
      for (let at = 0; at < 8; at += 1) bring(half, 256 * KiB, nowMs + at)
    }
    // 2 MiB each 60 ms are 34 KiB a ms; within the burst they are 256.
    expect(half.window).toBeLessThan(2 * 12 * 35 * KiB)
  })
})
