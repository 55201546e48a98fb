/** Signs tokens. Used by the driver agent, by `exec` with a secret file, and by `token`. */
import { SignJWT } from 'jose'
import { type TokenClaims, tokenClaims } from './claims.ts'
import { TokenError } from './errors.ts'
import { keyCovers, type SigningKey } from './keys.ts'

/**
 * A JWT of `claims` by `key`, whose name becomes the header's `kid`. Throws TokenError
 * `malformed` for claims out of range and `wrong-application` for one the key does not cover:
 * no relay would take them.
 */
export async function signToken(key: SigningKey, claims: TokenClaims): Promise<string> {
  const checked = tokenClaims.safeParse(claims)
  if (!checked.success) {
    throw new TokenError(
      'malformed',
      `claim ${checked.error.issues[0]?.path.join('.') ?? ''} is out of range`,
    )
  }
  if (!keyCovers(key, claims.app)) {
    throw new TokenError(
      'wrong-application',
      `key ${key.name} signs for ${key.prefix}, not for ${claims.app}`,
    )
  }
  return await new SignJWT({ ...checked.data })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: key.name })
    .sign(key.secret)
}

/** `exp` of a token that is valid for `lifetimeMs` from now. */
export function expiryIn(lifetimeMs: number, nowMs: number = Date.now()): number {
  return Math.ceil((nowMs + lifetimeMs) / 1000)
}
