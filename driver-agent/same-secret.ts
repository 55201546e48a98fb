/** Comparison of a secret with what somebody says it is. Used by the facade and the log server. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** Hashes are compared, so that neither the time nor a difference in length tells anything of `secret`. */
export function isSameSecret(given: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(secret))
}
