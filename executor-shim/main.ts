/**
 * `spark-lambda-relay shim`: one executor's life inside one function. Internal: started by a
 * provider, never by hand. The payload is the first line of stdin, never an argument, because
 * it holds secrets; the end of stdin means that whoever started us is gone.
 */

/** How a shim ends. Providers and the agent tell ends apart by these. */
export const shimExit = {
  /** The JVM exited 0: Spark told it to go, or it was drained. */
  done: 0,
  /** The JVM failed, was killed, or was stopped. */
  failed: 1,
  /** The payload, the environment or the Spark version is wrong: trying again cannot help. */
  wrongUse: 2,
  /** No relay, or the driver's agent is gone. */
  cutOff: 3,
  /** The function's lifetime is over (the number that timeout(1) uses). */
  lifetime: 124,
} as const

/** Environment that the shim reads. Everything else comes with the payload. */
export interface ShimEnvironment {
  /** Where Spark is. Required. */
  readonly SPARK_HOME?: string
  /** Java to run; else `java` on PATH. */
  readonly JAVA_HOME?: string
  readonly PATH?: string
  /** Writable folder for the JVM's cwd, local dirs and temporary files. Default: a new folder under TMPDIR. */
  readonly SLR_WORK_DIR?: string
  /** File that takes the JVM's stdout and stderr. Default: none is kept beyond the last lines. */
  readonly SLR_LOG_FILE?: string
}

/**
 * Runs one executor to its end and settles with an exit code out of `shimExit`; never rejects.
 * The caller (cli/main.ts) ends the process with it.
 */
export async function runShim(): Promise<number> {
  const { liveAsShim } = await import('./shim.ts')
  return liveAsShim(process.env, process.stdin)
}
