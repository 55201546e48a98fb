/**
 * Applies the settings table onto what a user has set. The outcome is one properties file and
 * a short command: a setting that must go cannot be taken out of a file by an argument, and
 * secrets in a user's settings stay off the command line. Used by submit.ts and agent.ts.
 */

import { findOutsideUse } from './egress.ts'
import { SettingsError } from './errors.ts'
import { type Gathered, gather } from './gather.ts'
import { formatProperties } from './properties.ts'
import { type Context, concerns, type Row } from './row.ts'
import type { SparkOption } from './spark-arguments.ts'
import { settingOf } from './spark-arguments.ts'
import { isDynamic, readCount } from './table/allocation.ts'
import { table } from './table/index.ts'
import { forcesIpv4 } from './table/refused.ts'
import type { AppliedSettings, SettingsInput } from './types.ts'

/** Flags whose setting the table may change or which name a file: they do not stay in the command. */
const folded = new Set<SparkOption>([
  '--conf',
  '--deploy-mode',
  '--extra-properties-file',
  '--master',
  '--num-executors',
  '--properties-file',
  '--remote',
])

/** Spark's default without dynamic allocation. */
const DEFAULT_INSTANCES = 2
/** The largest of them is what dynamic allocation begins with. */
const initialKeys = [
  'spark.dynamicAllocation.initialExecutors',
  'spark.dynamicAllocation.minExecutors',
  'spark.executor.instances',
]

/**
 * What spark-submit is to be given. Reads the user's properties files, writes nothing.
 * Throws SettingsError for what cannot run here, the first in the table's order.
 */
export function applySettings(input: SettingsInput): AppliedSettings {
  const gathered = gather(input)
  const settings = new Map(gathered.settings)
  const warnings: string[] = []
  const context: Context = {
    input,
    major: Number.parseInt(input.sparkVersion, 10),
    get: (key) => settings.get(key),
  }
  refuseOtherMaster(gathered, input)
  refuseIpv4Only(input)
  for (const row of table) applyRow(row, settings, context, warnings)
  if (input.egress === 'none') warnings.push(...findOutsideUse(gathered.settings, gathered.given.program))
  warnings.push(...warnOfStaying(context))
  const dynamicAllocation = isDynamic(context)
  const steady = dynamicAllocation
    ? Math.max(...initialKeys.map((key) => readCount(context, key) ?? 0))
    : (readCount(context, 'spark.executor.instances') ?? DEFAULT_INSTANCES)
  return {
    args: makeArguments(gathered, settings, input),
    properties: formatProperties(withoutFlags(gathered, settings)),
    conf: settings,
    env: driverEnvironment(input.env),
    warnings,
    instances: steady,
    dynamicAllocation,
    confDir: gathered.confDir,
  }
}

function applyRow(row: Row, settings: Map<string, string>, context: Context, warnings: string[]): void {
  if (row.since !== undefined && context.major < row.since) return
  if (row.kind === 'enforced' || row.kind === 'defaulted') {
    const given = settings.get(row.key)
    const value = row.kind === 'defaulted' && given !== undefined ? given : row.value(context)
    if (value === undefined) return
    settings.set(row.key, value)
    if (given !== undefined && given !== value)
      warnings.push(`${show(row.key, given)} becomes ${value}: ${row.why}`)
    return
  }
  for (const [key, value] of [...settings]) {
    if (!concerns(row, key)) continue
    if (row.kind === 'dropped') {
      settings.delete(key)
      warnings.push(`${key} is left out: ${row.why}`)
    } else if (row.when === undefined || row.when(value, context)) {
      throw new SettingsError(row.code, `${show(key, value)}: ${row.why}`)
    }
  }
}

/** Options of a JVM can hold passwords, and are long. */
function show(key: string, value: string): string {
  return key.endsWith('Options') ? key : `${key}=${value}`
}

/** A master in the command is meant; one in a file of a shared installation is only replaced, with a warning. */
function refuseOtherMaster(
  { settings, fromCommand }: Gathered,
  { facadeUrl, args, env }: SettingsInput,
): void {
  // A notebook's kernel takes its arguments from there, over every file.
  if (args.length === 0 && /(^|\s)--master\b|\bspark\.master=/.test(env.PYSPARK_SUBMIT_ARGS ?? '')) {
    throw new SettingsError(
      'other-master',
      'PYSPARK_SUBMIT_ARGS names a master, and executors are functions here: take --master out of that variable',
    )
  }
  const master = settings.get('spark.master')
  if (!fromCommand.has('spark.master') || master === `k8s://${facadeUrl}`) return
  throw new SettingsError(
    'other-master',
    `spark.master=${master}: executors are functions here, which the agent starts; leave --master out`,
  )
}

function refuseIpv4Only({ env, bindAddress }: SettingsInput): void {
  if (bindAddress !== '[::1]') return
  const name = ['JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS', 'JDK_JAVA_OPTIONS'].find((key) =>
    forcesIpv4(env[key] ?? ''),
  )
  if (name === undefined) return
  throw new SettingsError(
    'ipv4-only',
    `${name} has -Djava.net.preferIPv4Stack=true, with which the JVM cannot listen on ::1: take it out of that variable`,
  )
}

function warnOfStaying(context: Context): string[] {
  const key = 'spark.dynamicAllocation.minExecutors'
  const staying = isDynamic(context) ? (readCount(context, key) ?? 0) : 0
  return staying === 0
    ? []
    : [`${key}=${staying}: so many functions stay, and are paid, as long as the session is open`]
}

/** Values that a properties file would trim: they stay in the command. */
function isTrimmed(value: string): boolean {
  return value !== value.replace(/^[^\S\r\n]+|[^\S\r\n]+$/g, '')
}

function makeArguments(
  { given }: Gathered,
  settings: ReadonlyMap<string, string>,
  input: SettingsInput,
): string[] {
  const args = ['--master', settings.get('spark.master') as string, '--properties-file', input.propertiesFile]
  for (const [key, value] of settings) {
    if (isTrimmed(value)) args.push('--conf', `${key}=${value}`)
  }
  for (const { option, value } of given.options) {
    const key = settingOf(option)
    // Without its setting the flag was dropped by a row.
    if (!folded.has(option) && (key === undefined || settings.has(key))) args.push(option, value)
  }
  const switches = given.switches.filter((name) => name !== '--load-spark-defaults')
  return [...args, ...switches, ...given.program]
}

/** Flags stay in the command, where they outrank the file; the file need not say them again. */
function withoutFlags({ given }: Gathered, settings: ReadonlyMap<string, string>): Map<string, string> {
  const flags = new Set(
    given.options.filter(({ option }) => !folded.has(option)).map(({ option }) => settingOf(option)),
  )
  return new Map([...settings].filter(([key, value]) => !flags.has(key) && !isTrimmed(value)))
}

/** For the driver's process. The API client of Spark reads proxies and kubeconfigs out of the environment. */
function driverEnvironment(env: SettingsInput['env']): Record<string, string | undefined> {
  const noProxy = [env.NO_PROXY ?? env.no_proxy, '127.0.0.1'].filter(Boolean).join(',')
  return {
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    // An empty KUBECONFIG means ~/.kube/config to it, whose plugins it would run, and whose faults end the driver.
    KUBERNETES_AUTH_TRYKUBECONFIG: 'false',
    // Each would outrank a setting that the network rests on.
    MASTER: undefined,
    SPARK_REMOTE: undefined,
    SPARK_LOCAL_IP: undefined,
    SPARK_LOCAL_HOSTNAME: undefined,
    SPARK_PUBLIC_DNS: undefined,
  }
}
