/**
 * The environments of what the agent starts: marked as belonging to the run, and without our
 * own variables, which hold a secret or options meant for this process. Used by session.ts.
 */
import type { AgentOptions, SubmitOptions } from '../cli/options/index.ts'
import { RUN_MARK } from './guardian.ts'

/** For our own children. `run`: the mark's value. */
export function ownEnvironment(run: string, given: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(given)) {
    if (!name.startsWith('SLR_') || name === 'SLR_CACHE') environment[name] = value
  }
  environment[RUN_MARK] = run
  return environment
}

/**
 * For Spark's driver: the user's environment, and what the settings say (undefined: remove).
 * `python` stands in where PYSPARK_PYTHON says nothing.
 */
export function driverEnvironment(
  run: string,
  settings: Readonly<Record<string, string | undefined>>,
  spark: { readonly sparkHome: string; readonly python?: string | undefined },
  given: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...ownEnvironment(run, given), SPARK_HOME: spark.sparkHome }
  if (spark.python !== undefined && !environment.PYSPARK_PYTHON) environment.PYSPARK_PYTHON = spark.python
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) delete environment[name]
    else environment[name] = value
  }
  return environment
}

/** How long silence is borne: the same at both ends of a link, or they disagree about who is lost. */
function timeEnvironment(options: SubmitOptions | AgentOptions): Record<string, string> {
  return {
    SLR_HANDSHAKE: `${options.handshakeMs}ms`,
    SLR_KEEPALIVE: `${options.keepaliveMs}ms`,
    SLR_SILENCE: `${options.silenceMs}ms`,
  }
}

/** For the relay of a job that was given none, which reads its options as if they were typed. */
export function relayEnvironment(
  run: string,
  options: SubmitOptions | AgentOptions,
  given: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  return { ...ownEnvironment(run, given), ...timeEnvironment(options) }
}

/** Endpoint options for the shims, which read them as theirs. */
export function endpointEnvironment(options: SubmitOptions | AgentOptions): Record<string, string> {
  return {
    ...timeEnvironment(options),
    SLR_LINGER: `${options.lingerMs}ms`,
    SLR_WINDOW: String(options.windowBytes),
    SLR_BUDGET: String(options.budgetBytes),
    SLR_SEND_BUDGET: String(options.sendBudgetBytes),
  }
}
