/**
 * What functions would cost on AWS Lambda at list price. Pure arithmetic; used by the live
 * line and the summary. Prices: https://aws.amazon.com/lambda/pricing/ (us-east-1, tier one,
 * read November 2026), without free tier, EC2 for relays, or traffic.
 */

/** US dollars for one GB of memory during one second. Lambda's GB is 1,024 MB. */
export const DOLLARS_PER_GB_SECOND = { x86: 0.0000166667, arm: 0.0000133334 } as const
export type Architecture = keyof typeof DOLLARS_PER_GB_SECOND

/** US dollars for one start of a function ($0.20 a million). */
export const DOLLARS_PER_REQUEST = 0.2 / 1_000_000

/** What a function can be given, MB; the next whole megabyte is billed. */
export const LAMBDA_MEMORY_MB = { min: 128, max: 10_240 } as const

const MIB = 1024 * 1024

/** One function's life: what it was given, and how long it lived. */
export interface FunctionUse {
  /** Memory asked for, bytes: the pod's limit. */
  readonly memoryBytes: number
  /** From its start to its end, ms. Billed by the millisecond, rounded up. */
  readonly durationMs: number
}

export interface Bill {
  readonly architecture: Architecture
  readonly requests: number
  readonly gbSeconds: number
  readonly dollars: number
}

/** The memory that Lambda would be set to for `memoryBytes`, MB: whole, and within its limits. */
export function lambdaMemoryMb(memoryBytes: number): number {
  return Math.min(LAMBDA_MEMORY_MB.max, Math.max(LAMBDA_MEMORY_MB.min, Math.ceil(memoryBytes / MIB)))
}

/** Sums up `functions` at list price. */
export function billOf(functions: readonly FunctionUse[], architecture: Architecture = 'x86'): Bill {
  let megabyteMs = 0
  for (const use of functions) megabyteMs += lambdaMemoryMb(use.memoryBytes) * Math.ceil(use.durationMs)
  const gbSeconds = megabyteMs / 1024 / 1000
  return {
    architecture,
    requests: functions.length,
    gbSeconds,
    dollars: gbSeconds * DOLLARS_PER_GB_SECOND[architecture] + functions.length * DOLLARS_PER_REQUEST,
  }
}

/** `$0.0012`: four digits that count, so that a small job's cost is not shown as nothing. */
export function formatDollars(dollars: number): string {
  if (dollars === 0) return '$0'
  return dollars >= 1 ? `$${dollars.toFixed(2)}` : `$${dollars.toPrecision(2)}`.replace(/e-(\d+)$/, 'e-$1')
}
