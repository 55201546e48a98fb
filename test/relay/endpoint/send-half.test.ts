import { describe, expect, it } from 'vitest'
import { SendHalf } from '../../../relay/endpoint/send-half.ts'
import { Slab } from '../../../relay/pipe/slab.ts'

function ending(): SendHalf {
  const half = new SendHalf(1_000, new Slab(Buffer.alloc(0)))
  half.push(new Slab(Buffer.alloc(10)), 0, 10)
  half.finish()
  return half
}

describe('a FIN', () => {
  it('that came over an older route may be confirmed on the new one before it is said there again', () => {
    const half = ending()
    half.take(10)
    half.markFinSent()
    half.resumeFrom(10, 1_000)
    expect(half.canSendFin).toBe(true)
    half.finAcked(10)
    expect([half.state, half.canSendFin, half.keptBytes]).toEqual(['ended', false, 0])
  })

  it('is not confirmed by anybody who never had it', () => {
    const half = ending()
    half.take(10)
    expect(() => half.finAcked(10)).toThrow('FIN sent: false')
    half.markFinSent()
    expect(() => half.finAcked(9)).toThrow('FIN_ACK at 9')
  })
})
