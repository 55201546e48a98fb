/**
 * What starts and stops functions. A provider starts, stops, and tells when and why one
 * ended; nothing else: everything it passes on is in the payload. Implemented by
 * driver-agent/local/ (namespaces on this machine) and later by AWS Lambda.
 */
import type { FunctionPayload } from '../executor-shim/payload.ts'

/**
 * Why a function is no more.
 * `exited`: the shim ended by itself with `code`; `detail` is its complaint, if it had one. `stopped`: stop() was asked for.
 * `timed-out`: lifetime over. `memory`: over its limit. `crashed`: killed or vanished.
 * `not-started`: the platform never ran it (throttle, missing program); `retryable` tells whether later may help.
 */
export type FunctionEnd = HowItEnded & {
  /** The most memory that it used at once, bytes, as far as the platform looked. */
  readonly peakBytes?: number
}
type HowItEnded =
  | { readonly why: 'exited'; readonly code: number; readonly detail?: string }
  | { readonly why: 'stopped' | 'timed-out' | 'memory' | 'crashed'; readonly detail: string }
  | { readonly why: 'not-started'; readonly detail: string; readonly retryable: boolean }

export interface FunctionHandle {
  /** Provider's name for it, for logs. */
  readonly id: string
  /** Settles exactly once, never rejects. */
  readonly ended: Promise<FunctionEnd>
  /** Ends it at once, without drain; settles when nothing of it is left. */
  stop(): Promise<void>
}

export interface FunctionProvider {
  readonly name: 'local' | 'aws'
  /** Relay URLs as a function of this provider reaches them. */
  start(payload: FunctionPayload): FunctionHandle
  /** Ends everything that is left, also what an earlier run left behind. */
  close(): Promise<void>
}
