/**
 * The demo's job: how large it is and what it asks of Spark. Used by scripts/demo.ts, which runs it
 * through `submit`, and by the bench that runs it beside that without a relay.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../demo', import.meta.url))

/** Chosen so that more than 200 MiB of shuffle cross the relay (130 bytes a row, three quarters of them). */
export const ORDERS = 2_600_000
export const CUSTOMERS = 30_000
export const EXECUTOR_MEMORY = '600m'

/** SPARK_CONF_DIR: warnings and errors only, at the executors as well. */
export const demoConfDir = join(folder, 'conf')

export const demoSettings = {
  'spark.sql.shuffle.partitions': '16',
  // Tasks go to whoever is free, also when the cached block lies elsewhere: it is then fetched.
  'spark.locality.wait': '0',
  'spark.scheduler.minRegisteredResourcesRatio': '1',
  'spark.ui.showConsoleProgress': 'false',
} as const

/** What spark-submit takes behind its options. */
export function demoProgram(resultFile: string): readonly string[] {
  return [join(folder, 'job.py'), resultFile, String(ORDERS), String(CUSTOMERS)]
}
