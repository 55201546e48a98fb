/**
 * The arguments of spark-submit, read as org.apache.spark.launcher.SparkSubmitOptionParser reads
 * them: options until the first thing that is none, the rest is the program and its own. Pure.
 * Used by gather.ts, apply.ts and, through index.ts, by prepare.ts.
 */
import { SettingsError } from './errors.ts'

/** The setting that each convenience flag stands for; null: it stands for none. */
const options = {
  '--archives': 'spark.archives',
  '--class': null,
  '--conf': null,
  '--deploy-mode': 'spark.submit.deployMode',
  '--driver-class-path': 'spark.driver.extraClassPath',
  '--driver-cores': 'spark.driver.cores',
  '--driver-default-class-path': 'spark.driver.defaultExtraClassPath',
  '--driver-java-options': 'spark.driver.extraJavaOptions',
  '--driver-library-path': 'spark.driver.extraLibraryPath',
  '--driver-memory': 'spark.driver.memory',
  '--exclude-packages': 'spark.jars.excludes',
  '--executor-cores': 'spark.executor.cores',
  '--executor-memory': 'spark.executor.memory',
  '--extra-properties-file': null,
  '--files': 'spark.files',
  '--jars': 'spark.jars',
  '--keytab': 'spark.kerberos.keytab',
  '--kill': null,
  '--master': 'spark.master',
  '--name': 'spark.app.name',
  '--num-executors': 'spark.executor.instances',
  '--packages': 'spark.jars.packages',
  '--principal': 'spark.kerberos.principal',
  '--properties-file': null,
  '--proxy-user': null,
  '--py-files': 'spark.submit.pyFiles',
  '--queue': 'spark.yarn.queue',
  '--remote': 'spark.remote',
  '--repositories': 'spark.jars.repositories',
  '--status': null,
  '--total-executor-cores': 'spark.cores.max',
} as const satisfies Record<string, string | null>

export type SparkOption = keyof typeof options

const switches = new Set([
  '--help',
  '-h',
  '--load-spark-defaults',
  '--supervise',
  '--usage-error',
  '--verbose',
  '-v',
  '--version',
])

export interface SparkArguments {
  /** In the order they were given. */
  readonly options: readonly { readonly option: SparkOption; readonly value: string }[]
  readonly switches: readonly string[]
  /** The program (jar, Python file, `pyspark-shell` …) and its arguments; empty without one. */
  readonly program: readonly string[]
}

/** The setting that a flag stands for, if it stands for one. */
export function settingOf(option: SparkOption): string | undefined {
  return options[option] ?? undefined
}

/** Throws SettingsError `bad-argument` for an option without its value. */
export function parseSparkArguments(args: readonly string[]): SparkArguments {
  const found: { option: SparkOption; value: string }[] = []
  const seen: string[] = []
  let at = 0
  while (at < args.length) {
    const argument = args[at] as string
    const [, before, after] = /^(--[^=]+)=(.+)$/s.exec(argument) ?? []
    const name = before ?? (argument === '-c' ? '--conf' : argument)
    if (Object.hasOwn(options, name)) {
      const value = after ?? args[at + 1]
      if (value === undefined) {
        throw new SettingsError('bad-argument', `spark-submit's ${argument} needs a value, and none follows`)
      }
      found.push({ option: name as SparkOption, value })
      at += after === undefined ? 2 : 1
    } else if (switches.has(argument)) {
      seen.push(argument)
      at += 1
    } else break
  }
  return { options: found, switches: seen, program: args.slice(at) }
}

/**
 * Whether the program itself is Python, as spark-submit tells it: by the primary resource, not by what comes with
 * it (--py-files) or is its own argument. Throws SettingsError `bad-argument`.
 */
export function isPythonProgram(args: readonly string[]): boolean {
  const [resource] = parseSparkArguments(args).program
  return resource !== undefined && (resource.endsWith('.py') || resource === 'pyspark-shell')
}

/** Splits `key=value` of a --conf. Throws SettingsError `bad-argument`. */
export function parseConf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at <= 0) {
    throw new SettingsError('bad-argument', `--conf ${text} is not key=value: write --conf key=value`)
  }
  return [text.slice(0, at), text.slice(at + 1)]
}
