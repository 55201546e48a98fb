import { describe, expect, it } from 'vitest'
import { CreditBudget } from '../../../relay/endpoint/credit.ts'
import { ReceiveHalf } from '../../../relay/endpoint/receive-half.ts'

const KiB = 1024
const MiB = 1024 * KiB

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
      const half = new ReceiveHalf(new CreditBudget(32 * MiB), 16 * KiB, 256 * KiB, 8 * MiB, 1_000)
      // 8 MiB a round trip of 20 ms are 400 MiB/s; what is not yet renewed takes up to a quarter of it.
      expect(run(half, 20, piece, 3)).toBeGreaterThan(250)
      expect(half.window).toBe(8 * MiB)
    },
  )
})
