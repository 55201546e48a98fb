import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  expiryIn,
  generateKeyLine,
  KeyRing,
  maxTokenLength,
  parseKeys,
  signToken,
  type TokenClaims,
  TokenVerifier,
} from '../../../relay/token/index.ts'

const lines = [generateKeyLine('a', 'team-a-'), generateKeyLine('b', 'team-b-'), generateKeyLine('all', '*')]
const keys = parseKeys(lines.join('\n'), 'test')
const [keyA, keyB, keyAll] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
const ring = KeyRing.of(keys)
const verifier = new TokenVerifier(ring)
const claims: TokenClaims = {
  app: 'team-a-etl',
  addr: '127.64.0.2',
  gen: 3,
  role: 'executor',
  exp: expiryIn(60_000),
}
const rawSecretOfA = Buffer.from(lines[0]?.split(':')[2] ?? '', 'base64url')

function encode(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}
/** A token of any header and any payload, signed with key a's secret. */
function forge(header: unknown, payload: unknown, secret: Buffer = rawSecretOfA, hash = 'sha256'): string {
  const body = `${encode(header)}.${encode(payload)}`
  return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`
}
const goodHeader = { alg: 'HS256', kid: 'a' }

describe('TokenVerifier', () => {
  it('gives the claims of a token that one of its keys signed', async () => {
    await expect(verifier.verify(await signToken(keyA, claims))).resolves.toEqual(claims)
  })

  it('takes what the forger of these tests makes when nothing is wrong with it', async () => {
    await expect(verifier.verify(forge(goodHeader, claims))).resolves.toEqual(claims)
  })

  it('refuses no token at all', async () => {
    await expect(verifier.verify(undefined)).rejects.toMatchObject({ code: 'missing' })
    await expect(verifier.verify('')).rejects.toMatchObject({ code: 'missing' })
  })

  it('refuses a token with any one character changed', async () => {
    const token = await signToken(keyA, claims)
    for (let at = 0; at < token.length - 1; at += 1) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      const refusal = await verifier.verify(changed).then(
        () => 'taken',
        (error) => error.code,
      )
      expect(['malformed', 'bad-signature', 'unknown-key'], `character ${at}`).toContain(refusal)
    }
  })

  it('refuses claims swapped in from a token of another key', async () => {
    const [, payload] = (await signToken(keyAll, { ...claims, role: 'driver' })).split('.')
    const [header, , signature] = (await signToken(keyA, claims)).split('.')
    const refused = verifier.verify([header, payload, signature].join('.'))
    await expect(refused).rejects.toMatchObject({ code: 'bad-signature' })
  })

  it('refuses alg none, whatever its case, with and without a signature', async () => {
    for (const alg of ['none', 'None', 'NONE']) {
      const unsigned = `${encode({ alg, kid: 'a' })}.${encode(claims)}.`
      await expect(verifier.verify(unsigned), alg).rejects.toMatchObject({ code: 'malformed' })
      await expect(verifier.verify(forge({ alg, kid: 'a' }, claims))).rejects.toMatchObject({
        code: 'malformed',
      })
    }
  })

  it('refuses other HMACs, though the key did sign', async () => {
    for (const [alg, hash] of [
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
    ] as const) {
      const forged = forge({ alg, kid: 'a' }, claims, rawSecretOfA, hash)
      await expect(verifier.verify(forged), alg).rejects.toMatchObject({ code: 'malformed' })
    }
  })

  it('refuses RS256, and a public key does not become an HMAC secret', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const body = `${encode({ alg: 'RS256', kid: 'a' })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(body), privateKey)
    await expect(verifier.verify(`${body}.${signature.toString('base64url')}`)).rejects.toMatchObject({
      code: 'malformed',
    })
    const pem = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))
    for (const extra of [
      {},
      { jwk: publicKey.export({ format: 'jwk' }) },
      { x5c: [pem.toString('base64')] },
    ]) {
      const confused = forge({ ...goodHeader, ...extra }, claims, pem)
      await expect(verifier.verify(confused)).rejects.toMatchObject({ code: 'bad-signature' })
    }
  })

  it('refuses a key that the header brings along, or points to', async () => {
    const own = Buffer.alloc(32, 7)
    const jwk = { kty: 'oct', k: own.toString('base64url'), kid: 'mine' }
    for (const header of [
      { alg: 'HS256', kid: 'mine', jwk },
      { alg: 'HS256', kid: 'mine', jku: 'http://127.0.0.1:1/keys' },
      { alg: 'HS256', kid: '../../../../dev/null' },
      { alg: 'HS256', kid: '__proto__' },
    ]) {
      await expect(verifier.verify(forge(header, claims, own))).rejects.toMatchObject({ code: 'unknown-key' })
    }
    await expect(verifier.verify(forge({ alg: 'HS256', jwk }, claims, own))).rejects.toMatchObject({
      code: 'malformed',
    })
    await expect(
      verifier.verify(forge({ ...goodHeader, crit: ['exp'], exp: 1 }, claims)),
    ).rejects.toMatchObject({ code: 'malformed' })
  })

  it('refuses a token that another secret signed under a known name', async () => {
    const stranger = parseKeys(generateKeyLine('a', '*'), 'test')[0]
    if (stranger === undefined) throw new Error('no key')
    await expect(verifier.verify(await signToken(stranger, claims))).rejects.toMatchObject({
      code: 'bad-signature',
    })
  })

  it('bears 60 s of skew in expiry and in beginning, and no more', async () => {
    const exp = 2_000_000_000
    const token = await signToken(keyA, { ...claims, exp, nbf: exp - 600 })
    const at = (seconds: number) => new TokenVerifier(ring, () => seconds * 1000).verify(token)
    await expect(at(exp + 59)).resolves.toMatchObject({ exp })
    await expect(at(exp + 60)).rejects.toMatchObject({ code: 'expired' })
    await expect(at(exp - 660)).resolves.toMatchObject({ exp })
    await expect(at(exp - 661)).rejects.toMatchObject({ code: 'not-yet-valid' })
  })

  it('refuses a key outside its prefix, though its signature is right', async () => {
    await expect(verifier.verify(forge(goodHeader, { ...claims, app: 'team-b-etl' }))).rejects.toMatchObject({
      code: 'wrong-application',
    })
    await expect(verifier.verify(forge(goodHeader, { ...claims, app: 'team-a' }))).rejects.toMatchObject({
      code: 'wrong-application',
    })
    await expect(signToken(keyB, claims)).rejects.toMatchObject({ code: 'wrong-application' })
  })

  it('refuses another application, another address and another role than the one wanted', async () => {
    const token = await signToken(keyA, claims)
    const wanted = { app: claims.app, address: claims.addr, roles: ['executor', 'tool'] as const }
    await expect(verifier.verify(token, wanted)).resolves.toEqual(claims)
    await expect(verifier.verify(token, { app: 'team-a-other' })).rejects.toMatchObject({
      code: 'wrong-application',
    })
    await expect(verifier.verify(token, { address: '127.64.0.3' })).rejects.toMatchObject({
      code: 'wrong-address',
    })
    await expect(verifier.verify(token, { roles: ['driver'] })).rejects.toMatchObject({ code: 'wrong-role' })
  })

  it('refuses claims that are absent or out of range, though the key signed them', async () => {
    const wrong: Record<string, unknown>[] = [
      { exp: undefined },
      { exp: '2000000000' },
      { app: undefined },
      { app: '' },
      { app: 'team-a-/x' },
      { addr: '127.0.0.1' },
      { addr: '127.128.0.1' },
      { addr: '127.64.0.0' },
      { addr: '127.064.0.2' },
      { addr: '10.0.0.1' },
      { gen: -1 },
      { gen: 1.5 },
      { gen: '3' },
      { gen: undefined },
      { role: 'admin' },
      { role: undefined },
    ]
    for (const change of wrong) {
      const forged = forge(goodHeader, { ...claims, ...change })
      await expect(verifier.verify(forged), JSON.stringify(change)).rejects.toMatchObject({
        code: 'malformed',
      })
    }
  })

  it('refuses what is no token, and what is too long to be one, without an error of another kind', async () => {
    const noTokens = [
      '.',
      '..',
      'a.b.c',
      '{}',
      '\0',
      'x'.repeat(maxTokenLength + 1),
      forge('[]', claims),
      forge(goodHeader, '"text"'),
      forge(goodHeader, 'null'),
    ]
    for (const text of noTokens) {
      await expect(verifier.verify(text), text.slice(0, 20)).rejects.toMatchObject({
        name: 'TokenError',
        code: 'malformed',
      })
    }
  })

  it('quotes neither token nor secret in what it says', async () => {
    const token = await signToken(keyA, { ...claims, exp: 1 })
    const error = await verifier.verify(token).catch((caught) => caught)
    for (const part of token.split('.')) expect(error.message).not.toContain(part)
    expect(JSON.stringify(keys)).not.toContain(lines[0]?.split(':')[2])
  })
})
