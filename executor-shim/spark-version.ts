/** Which Spark lies in a folder. Used by shim.ts; pure except for reading names and one line. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ShimError } from './errors.ts'

/**
 * Version of the Spark at `sparkHome`, for example `4.3.0`: from the name of its core jar,
 * which is what runs, else from RELEASE. Throws ShimError `environment`.
 */
export function sparkVersionAt(sparkHome: string): string {
  const version =
    versionOfJars(listed(join(sparkHome, 'jars'))) ?? versionOfRelease(firstLine(join(sparkHome, 'RELEASE')))
  if (version !== undefined) return version
  if (sparkHome === '') {
    throw new ShimError(
      'environment',
      'SPARK_HOME is not set in the function: set it to the Spark that it is to run',
    )
  }
  throw new ShimError(
    'environment',
    `SPARK_HOME=${sparkHome} holds no Spark (no jars/spark-core_*.jar): set it to an unpacked Spark or to the pyspark folder of a Python environment`,
  )
}

/** `spark-core_2.13-4.3.0.jar` → `4.3.0`. */
export function versionOfJars(names: readonly string[]): string | undefined {
  for (const name of names) {
    const match = /^spark-core_\d+\.\d+-(.+)\.jar$/.exec(name)
    if (match !== null && !/-(tests|sources|javadoc)$/.test(match[1] as string)) return match[1]
  }
  return undefined
}

/** `Spark 3.5.7 (git revision ed00d046951) built for Hadoop 3.3.4` → `3.5.7`. */
export function versionOfRelease(line: string): string | undefined {
  return /^Spark (\S+)/.exec(line)?.[1]
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function firstLine(file: string): string {
  try {
    return readFileSync(file, 'utf8').split('\n', 1)[0] ?? ''
  } catch {
    return ''
  }
}
