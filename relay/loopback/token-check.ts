/**
 * Whether a token is for the address that it is to be used for. A relay takes an endpoint for
 * whom its token names, so with another's token this one would attach under a false name, and
 * its peers would look for it in vain. Pure; the signature is the relay's to check. Used by
 * tunnel.ts.
 */
import { TunnelError } from './errors.ts'

interface Bearer {
  readonly app: string
  readonly address: string
}

/** Throws TunnelError `refused` when the token says that it is another's. What is no token at all is left to the relay. */
export function assertTokenIsFor(token: string, { app, address }: Bearer): void {
  const claims = claimsOf(token)
  if (claims === undefined) return
  if (claims.addr === address && claims.app === app) return
  throw new TunnelError(
    'refused',
    `the token is for ${String(claims.addr)} of application ${String(claims.app)}, not for ${address} of ${app}: give the token of this address`,
  )
}

function claimsOf(token: string): { readonly addr?: unknown; readonly app?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
