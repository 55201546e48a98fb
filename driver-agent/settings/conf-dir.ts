/**
 * The user's SPARK_CONF_DIR, as it is sent to executors: `disableConfigMap=true` keeps Spark
 * from doing so itself. Used by driver-agent/agent.ts.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from './errors.ts'

/** All files together, before base64: the payload of an asynchronous invoke ends at 1 MB. */
export const CONF_DIR_LIMIT_BYTES = 256 * 1024

/**
 * Files of `directory` for FunctionPayload.confDir, name → base64. Regular files only; left out
 * are hidden ones, templates, spark-defaults.conf (its settings come with the pod) and
 * spark-env.sh (meant for the driver's machine). Empty when the directory is absent.
 * Throws SettingsError `conf-dir-too-large` or `unreadable-file`.
 */
export function readConfDir(directory: string | undefined): Record<string, string> {
  const files: Record<string, string> = {}
  if (directory === undefined) return files
  let totalBytes = 0
  let largest = { name: '', bytes: 0 }
  for (const name of listConfDir(directory)) {
    const path = join(directory, name)
    const bytes = statSync(path).size
    totalBytes += bytes
    if (bytes > largest.bytes) largest = { name, bytes }
    // Looked at before reading: a core dump left there must not come into memory.
    if (totalBytes <= CONF_DIR_LIMIT_BYTES) files[name] = readConfFile(path).toString('base64')
  }
  if (totalBytes > CONF_DIR_LIMIT_BYTES) {
    throw new SettingsError(
      'conf-dir-too-large',
      `SPARK_CONF_DIR ${directory} has ${totalBytes} bytes for executors, at most ${CONF_DIR_LIMIT_BYTES} can be sent: ` +
        `move large files out of it (the largest is ${largest.name}, ${largest.bytes} bytes) and pass them with --files`,
    )
  }
  return files
}

function listConfDir(directory: string): string[] {
  let entries: string[]
  try {
    entries = readdirSync(directory).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new SettingsError(
      'unreadable-file',
      `SPARK_CONF_DIR ${directory} cannot be read (${(error as Error).message}): mend its permissions`,
      {
        cause: error,
      },
    )
  }
  return entries.filter((name) => {
    if (name.startsWith('.') || name.endsWith('.template')) return false
    if (name === 'spark-defaults.conf' || name === 'spark-env.sh') return false
    return statSync(join(directory, name), { throwIfNoEntry: false })?.isFile() === true
  })
}

function readConfFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new SettingsError(
      'unreadable-file',
      `${path} cannot be read (${(error as Error).message}): mend its permissions or move it away`,
      {
        cause: error,
      },
    )
  }
}
