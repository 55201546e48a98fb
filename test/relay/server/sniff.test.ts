import { describe, expect, it } from 'vitest'
import { type FirstBytes, tellApart } from '../../../relay/server/sniff.ts'

const cases: readonly [bytes: Buffer, kind: FirstBytes][] = [
  [Buffer.from([0xf5, 0x53, 0x4c, 0x52]), 'native'],
  [Buffer.from([0xf5, 0x53, 0x4c, 0x52, 0x01, 0x00]), 'native'],
  [Buffer.from([0x16, 0x03]), 'tls'],
  [Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]), 'tls'],
  [Buffer.from('GET / HTTP/1.1\r\n'), 'http'],
  [Buffer.from('HEAD /healthz'), 'http'],
  [Buffer.from('POST /'), 'http'],
  [Buffer.from([]), 'more'],
  [Buffer.from([0xf5, 0x53]), 'more'],
  [Buffer.from([0x16]), 'more'],
  [Buffer.from('G'), 'more'],
  [Buffer.from('OPTION'), 'more'],
  [Buffer.from([0xf5, 0x53, 0x4c, 0x53]), 'garbage'],
  [Buffer.from([0x16, 0x02]), 'garbage'],
  [Buffer.from('get / http'), 'garbage'],
  [Buffer.from('SSH-2.0-OpenSSH'), 'garbage'],
  [Buffer.from('PRI * HTTP/2.0\r\n'), 'garbage'],
  [Buffer.from([0x00]), 'garbage'],
]

describe('telling connections apart', () => {
  it.each(cases)('reads %o as %s', (bytes, kind) => {
    expect(tellApart(bytes)).toBe(kind)
  })

  it('never says otherwise of a part than of the whole, but for more', () => {
    for (const [bytes, kind] of cases) {
      for (let length = 0; length < bytes.length; length += 1) {
        const part = tellApart(bytes.subarray(0, length))
        expect(part === 'more' || part === kind).toBe(true)
      }
    }
  })
})
