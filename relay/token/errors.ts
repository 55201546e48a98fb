/**
 * Why a token or a file of keys was refused. A TokenError's code goes to the peer and into a
 * counter; its detail goes to the relay's log only. Neither ever holds a secret or a token.
 */

/** Closed: a metric label and a handshake reason each. */
export const tokenFailures = [
  'missing', // no token was sent
  'malformed', // not a JWT of ours: form, algorithm, claims
  'bad-signature', // the named key did not sign this
  'unknown-key', // the header names no key that we have
  'expired',
  'not-yet-valid',
  'wrong-application', // outside the key's prefix, or not the application that was asked for
  'wrong-address', // signed for another address than the one that attaches
  'wrong-role', // its role may not do this
] as const
export type TokenFailure = (typeof tokenFailures)[number]

export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly code: TokenFailure
  constructor(code: TokenFailure, detail: string) {
    super(`${code}: ${detail}`)
    this.code = code
  }
}

/** Keys cannot be had: the sentence names the file, the line and how to mend it. Ends a command with 2. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly code: 'no-keys' | 'unreadable' | 'too-open' | 'bad-line' | 'no-key-fits'
  readonly exitCode = 2
  constructor(code: KeyError['code'], sentence: string) {
    super(sentence)
    this.code = code
  }
}
