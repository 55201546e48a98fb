/**
 * Judges tokens, before a relay allocates anything for whoever sent one. The algorithm is
 * pinned, the header's `kid` chooses among our own keys only, and a key counts only within
 * its application prefix. Used by relay/server.
 */
import { randomBytes } from 'node:crypto'
import { errors, type JWTHeaderParameters, jwtVerify } from 'jose'
import { type TokenClaims, type TokenRole, tokenClaims } from './claims.ts'
import { TokenError } from './errors.ts'
import type { KeyRing } from './key-ring.ts'
import { keyCovers, type SigningKey } from './keys.ts'

/** Clocks of functions and relays may differ by this much, seconds. */
export const clockSkewSeconds = 60

/** A token of ours has some 300 characters; what is longer is not looked at. */
export const maxTokenLength = 4_096

/** In place of a key that is not known: how long an answer takes does not tell whether one is. */
const decoy = randomBytes(32)

/** What the holder wants to be. Absent fields: whatever the token says. */
export interface Expected {
  readonly app?: string
  readonly address?: string
  readonly roles?: readonly TokenRole[]
}

export class TokenVerifier {
  readonly #ring: KeyRing
  readonly #nowMs: () => number

  /** `nowMs`: wall-clock time, as expiry is. */
  constructor(ring: KeyRing, nowMs: () => number = Date.now) {
    this.#ring = ring
    this.#nowMs = nowMs
  }

  /** The token's claims. Rejects with TokenError, whatever came; no other error escapes. */
  async verify(token: string | undefined, expected: Expected = {}): Promise<TokenClaims> {
    if (token === undefined || token === '') throw new TokenError('missing', 'no token was sent')
    if (token.length > maxTokenLength) {
      throw new TokenError('malformed', `${token.length} characters, at most ${maxTokenLength} are allowed`)
    }
    const { claims, key } = await this.#verifySignature(token)
    if (!keyCovers(key, claims.app)) {
      throw new TokenError(
        'wrong-application',
        `key ${key.name} covers ${key.prefix}, the token is for ${claims.app}`,
      )
    }
    if (expected.app !== undefined && expected.app !== claims.app) {
      throw new TokenError('wrong-application', `the token is for ${claims.app}, wanted is ${expected.app}`)
    }
    if (expected.address !== undefined && expected.address !== claims.addr) {
      throw new TokenError('wrong-address', `the token is for ${claims.addr}, wanted is ${expected.address}`)
    }
    if (expected.roles !== undefined && !expected.roles.includes(claims.role)) {
      throw new TokenError(
        'wrong-role',
        `the token is for a ${claims.role}, wanted is ${expected.roles.join(' or ')}`,
      )
    }
    return claims
  }

  async #verifySignature(token: string): Promise<{ claims: TokenClaims; key: SigningKey }> {
    let key: SigningKey | undefined
    const chooseKey = async (header: JWTHeaderParameters) => {
      if (typeof header.kid !== 'string') throw new TokenError('malformed', 'the header names no key (kid)')
      key = await this.#ring.find(header.kid)
      return key?.secret ?? decoy
    }
    try {
      const { payload } = await jwtVerify(token, chooseKey, {
        algorithms: ['HS256'],
        clockTolerance: clockSkewSeconds,
        currentDate: new Date(this.#nowMs()),
        requiredClaims: ['exp'],
      })
      const claims = tokenClaims.safeParse(payload)
      if (!claims.success) {
        throw new TokenError(
          'malformed',
          `claim ${claims.error.issues[0]?.path.join('.') ?? ''} is absent or wrong`,
        )
      }
      return { claims: claims.data, key: key as SigningKey } // chooseKey ran, or jwtVerify had thrown
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed && key === undefined)
        throw new TokenError('unknown-key', 'the header names a key that is not known here')
      throw asTokenError(error)
    }
  }
}

function asTokenError(error: unknown): TokenError {
  if (error instanceof TokenError) return error
  if (error instanceof errors.JWTExpired) return new TokenError('expired', 'its time is over')
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new TokenError('bad-signature', 'the named key did not sign it')
  }
  if (
    error instanceof errors.JWTClaimValidationFailed &&
    error.claim === 'nbf' &&
    error.reason === 'check_failed'
  ) {
    return new TokenError('not-yet-valid', 'its time has not come')
  }
  // jose's messages speak of the form only and quote nothing of the token.
  return new TokenError('malformed', error instanceof Error ? error.message : 'not a token')
}
