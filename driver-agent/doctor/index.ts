/**
 * Looks at what a job needs on this machine, before anything is started. Used by submit and
 * agent (which stop at what is missing) and by the command `doctor` (which prints all).
 */
import { attemptVersion } from '../spark-home.ts'
import {
  checkDescriptors,
  checkIpv6Loopback,
  checkJava,
  checkMachine,
  checkNamespaces,
  checkPorts,
  checkPrograms,
  checkPython,
  checkSpark,
} from './checks.ts'
import type { Finding } from './finding.ts'

export { assertReady, type Finding } from './finding.ts'

export interface DoctorInput {
  /** Spark to download when SPARK_HOME is not set, as `4.3.0`. */
  readonly sparkVersion: string
  readonly environment: NodeJS.ProcessEnv
  /** Executors run on this machine. Default true. */
  readonly isLocal?: boolean
}

/** All checks, at most 20 s. Never rejects. */
export async function runDoctorChecks(input: DoctorInput): Promise<readonly Finding[]> {
  const { environment, isLocal = true } = input
  const home = environment.SPARK_HOME
  const version = (home === undefined || home === '' ? undefined : attemptVersion(home)) ?? input.sparkVersion
  return await Promise.all([
    checkMachine(),
    ...(isLocal ? [checkNamespaces()] : []),
    checkJava(version, environment),
    checkSpark(version, environment),
    checkPython(version, environment),
    checkPrograms(environment, isLocal),
    checkPorts(),
    checkDescriptors(),
    checkIpv6Loopback(),
  ])
}
