/**
 * What a job needs of this machine, found or missed before anything starts: Java, Spark,
 * namespaces, ports, and Python for a Python program. The same searches as `doctor`. Used by
 * submit.ts and agent.ts.
 */
import type { CommandContext } from '../cli/context.ts'
import type { AgentOptions, SubmitOptions } from '../cli/options/index.ts'
import { PORTS_OF_A_SESSION, pickFreePorts } from './free-ports.ts'
import { findJava } from './java.ts'
import { probeNamespaces } from './local/index.ts'
import { findPython, pythonMisfit } from './python.ts'
import { isPythonProgram } from './settings/index.ts'
import { SetupError } from './setup-error.ts'
import { findSpark } from './spark-home.ts'
import { writeLine } from './write-line.ts'

export interface Prepared {
  readonly sparkHome: string
  /** As `4.3.0`. */
  readonly sparkVersion: string
  /** Of a Python that fits, when one was looked for. */
  readonly python: string | undefined
}

/**
 * Downloads Spark if need be. Throws SetupError with the remedy; exit code 2. `sparkArguments`: for spark-submit;
 * undefined: drivers are started by the user, in Python or not, so a Python that does not fit is told only.
 */
export async function prepare(
  options: SubmitOptions | AgentOptions,
  context: CommandContext,
  sparkArguments?: readonly string[],
): Promise<Prepared> {
  const probe = options.provider === 'local' ? await probeNamespaces() : undefined
  if (probe?.ok === false) throw new SetupError('namespaces', `${probe.cause}; ${probe.remedy}`)
  await pickFreePorts(PORTS_OF_A_SESSION) // others than it will use; but a machine that has none has none then
  const environment = process.env
  // Before a download of 450 MB; with SPARK_HOME it is known only then which Java it must be.
  if (!environment.SPARK_HOME) await findJava(options.sparkVersion, environment)
  const spark = await findSpark(options.sparkVersion, {
    environment,
    tell: writeLine,
  })
  await findJava(spark.version, environment)
  const python = await preparePython(spark.version, environment, sparkArguments)
  context.logger.debug({ spark: spark.version, home: spark.home, python }, 'prepared')
  return { sparkHome: spark.home, sparkVersion: spark.version, python }
}

async function preparePython(
  sparkVersion: string,
  environment: NodeJS.ProcessEnv,
  sparkArguments: readonly string[] | undefined,
): Promise<string | undefined> {
  if (sparkArguments === undefined) {
    const misfit = await pythonMisfit(sparkVersion, environment)
    if (misfit !== undefined) writeLine(misfit)
    return undefined
  }
  return isPythonProgram(sparkArguments) ? (await findPython(sparkVersion, environment)).program : undefined
}
