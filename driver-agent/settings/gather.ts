/**
 * What the user has set, from all the places where spark-submit looks, in its order of rank:
 * flags, --conf, --extra-properties-file, --properties-file, spark-defaults.conf. Reads files.
 * Used by apply.ts.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from './errors.ts'
import { parseProperties } from './properties.ts'
import { parseConf, parseSparkArguments, type SparkArguments, settingOf } from './spark-arguments.ts'
import type { SettingsInput } from './types.ts'

export interface Gathered {
  readonly given: SparkArguments
  readonly settings: ReadonlyMap<string, string>
  /** Those that stand in the command rather than in a file. */
  readonly fromCommand: ReadonlySet<string>
  readonly confDir: string | undefined
}

/** Throws SettingsError `bad-argument` or `unreadable-file`. */
export function gather(input: SettingsInput): Gathered {
  const given = parseSparkArguments(input.args)
  const confDir = findConfDir(input)
  const valuesOf = (option: string): string[] =>
    given.options.filter((item) => item.option === option).map(({ value }) => value)

  const named = valuesOf('--properties-file').at(-1)
  const files: Map<string, string>[] = []
  const defaults = confDir === undefined ? undefined : join(confDir, 'spark-defaults.conf')
  const loadsDefaults = named === undefined || given.switches.includes('--load-spark-defaults')
  if (loadsDefaults && defaults !== undefined && existsSync(defaults)) files.push(readProperties(defaults))
  if (named !== undefined) files.push(readProperties(named))
  // Spark takes a list there; later files win.
  for (const list of valuesOf('--extra-properties-file')) {
    for (const path of list.split(',')) files.push(readProperties(path.trim()))
  }
  const command = new Map(valuesOf('--conf').map(parseConf))
  for (const { option, value } of given.options) {
    const key = settingOf(option)
    if (key !== undefined) command.set(key, value)
  }
  const settings = new Map(files.flatMap((file) => [...file]))
  for (const [key, value] of command) settings.set(key, value)
  return { given, settings, fromCommand: new Set(command.keys()), confDir }
}

function findConfDir({ env, sparkHome }: SettingsInput): string | undefined {
  const named = env.SPARK_CONF_DIR
  if (named !== undefined && named !== '') return named
  const own = join(sparkHome, 'conf')
  return existsSync(own) ? own : undefined
}

function readProperties(path: string): Map<string, string> {
  try {
    return parseProperties(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new SettingsError(
      'unreadable-file',
      `the properties file ${path} cannot be read (${(error as Error).message})`,
      {
        cause: error,
      },
    )
  }
}
