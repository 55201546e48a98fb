import { describe, expect, it } from 'vitest'
import { assertTokenIsFor } from '../../../relay/loopback/token-check.ts'
import { expiryIn, generateKeyLine, parseKeys, signToken } from '../../../relay/token/index.ts'

const self = { app: 'demo', address: '127.64.0.2' }

describe('the check of a token before it is used', () => {
  const [key] = parseKeys(generateKeyLine('test', '*'), 'test')
  const tokenOf = async (app: string, addr: string): Promise<string> => {
    if (key === undefined) throw new Error('no key')
    return await signToken(key, { app, addr, gen: 0, role: 'tool', exp: expiryIn(1_000) })
  }

  it('takes a token of this address', async () => {
    const token = await tokenOf('demo', '127.64.0.2')
    expect(() => assertTokenIsFor(token, self)).not.toThrow()
  })

  it('refuses one of another address or application, and names both', async () => {
    const another = await tokenOf('demo', '127.64.0.9')
    expect(() => assertTokenIsFor(another, self)).toThrow(
      /for 127\.64\.0\.9 of application demo, not for 127\.64\.0\.2/,
    )
    const foreign = await tokenOf('prod', '127.64.0.2')
    expect(() => assertTokenIsFor(foreign, self)).toThrow(/application prod/)
  })

  it('leaves what is no token to the relay', () => {
    for (const token of ['', 'x', 'a.b.c', `a.${Buffer.from('null').toString('base64url')}.c`]) {
      expect(() => assertTokenIsFor(token, self)).not.toThrow()
    }
  })
})
