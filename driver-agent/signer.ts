/**
 * Signs the tokens of one run: the driver's, fresh for each attach, and one for each
 * executor. Used by session.ts.
 */
import { expiryIn, KeyRing, readKeyFile, signToken, type TokenRole } from '../relay/token/index.ts'

/** Added to a function's lifetime: its start, clocks that differ, a relay that comes back late. */
const SLACK_MS = 5 * 60_000
/** The driver's token is signed anew each time it attaches. */
const DRIVER_TOKEN_MS = 10 * 60_000

export interface Signer {
  /** Of all addresses of this run; higher than that of any earlier run under the same application name. */
  readonly generation: number
  driver(address: string): Promise<string>
  /** Lives longer than the function can. */
  executor(address: string): Promise<string>
}

/** Throws KeyError: the file is unreadable, too open, wrong, or has no key that covers `app`. */
export async function createSigner(secretFile: string, app: string, maxLifetimeMs: number): Promise<Signer> {
  const ring = await KeyRing.open({ file: secretFile })
  ring.signer(app)
  // Seconds since 1970: an agent started again under a name it had before takes its addresses over.
  const generation = Math.floor(Date.now() / 1000)
  const sign = (addr: string, role: TokenRole, lifetimeMs: number): Promise<string> =>
    signToken(ring.signer(app), { app, addr, gen: generation, role, exp: expiryIn(lifetimeMs) })
  return {
    generation,
    driver: (address) => sign(address, 'driver', DRIVER_TOKEN_MS),
    executor: (address) => sign(address, 'executor', maxLifetimeMs + SLACK_MS),
  }
}

/** A name for the application that the first key of `secretFile` covers. */
export async function applicationName(secretFile: string, run: string): Promise<string> {
  const prefix = (await readKeyFile(secretFile))[0]?.prefix ?? '*'
  return prefix === '*'
    ? `spark-${run}`
    : `${prefix}${/[A-Za-z0-9]$/.test(prefix) ? '-' : ''}spark-${run}`.slice(0, 64)
}
