/** What a row of the fault table is, and what its run says. */
import type { Times } from './fleet.ts'

export interface RowContext {
  readonly times: Times
  /** True: as long as the table says (30 s, 60 s …); false: a fraction, for npm test. */
  readonly isLong: boolean
  readonly seed: number
  readonly say: (text: string) => void
}

export interface Check {
  readonly what: string
  readonly held: boolean
  readonly measured: string
  /** A machine that stood still can bring it about as well as a fault of ours. */
  readonly isOfTime: boolean
}

export interface RowResult {
  readonly row: string
  readonly checks: readonly Check[]
  readonly streams: number
  readonly bytes: number
  /** ms; 0 when there was no stream to measure. */
  readonly stall: { readonly p50: number; readonly p99: number; readonly max: number }
  /** Numbers to report that nothing is demanded of. */
  readonly figures: Readonly<Record<string, number | string>>
}

export interface FaultRow {
  readonly name: string
  /** As in the table. */
  readonly fault: string
  /** By what means the fault is made. */
  readonly means: string
  /** Runs in a user and network namespace of its own, as its root. */
  readonly inNamespace?: boolean
  run(context: RowContext): Promise<RowResult>
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
