/**
 * `spark-lambda-relay shim`: one executor's life inside one function. Internal: started by a
 * provider, never by hand. The payload is the first line of stdin, never an argument, because
 * it holds secrets; the end of stdin means that whoever started us is gone.
 */
import type { CommandContext } from '../cli/context.ts'
import type { ShimOptions } from '../cli/options/index.ts'
import { endpointOverrides } from '../relay/endpoint/from-options.ts'

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

/**
 * Runs one executor to its end and settles with an exit code out of `shimExit`; never rejects.
 * The program (cli/program.ts) ends the process with it.
 */
export async function runShim(options: ShimOptions, context: CommandContext): Promise<number> {
  const { liveAsShim } = await import('./shim.ts')
  const settings = {
    workDir: options.workDir,
    executorLog: options.executorLog,
    sparkHome: options.sparkHome ?? process.env.SPARK_HOME,
    endpoint: endpointOverrides(options),
  }
  return liveAsShim(settings, process.stdin, context.logger)
}
