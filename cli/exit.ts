/**
 * What the program's exit codes mean, and how an error becomes one. A command that runs
 * another program (submit, exec) answers that program's own code when it ended by itself.
 */
export const exitCodes = {
  done: 0,
  /** The job, or the relay, or the program itself failed. */
  failed: 1,
  /** Called wrongly, or something it needs is missing: nothing was started. */
  wrongUse: 2,
} as const

/** By `exitCode` of the error, which rooms set on their own classes; without one it is a failure. */
export function exitCodeOf(error: unknown): number {
  const given =
    typeof error === 'object' && error !== null && 'exitCode' in error ? error.exitCode : undefined
  return typeof given === 'number' ? given : exitCodes.failed
}

/**
 * What people see of an error on stderr: one sentence for failures that were foreseen (they
 * carry a code), and the stack as well for those that were not, since they are our mistakes.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `spark-lambda-relay: ${String(error)}\n`
  const sentence = `spark-lambda-relay: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}\n`
  const isForeseen = 'exitCode' in error || ('code' in error && typeof error.code === 'string')
  return isForeseen ? sentence : `${sentence}${error.stack ?? ''}\n`
}
