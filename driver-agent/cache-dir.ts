/** Where downloads are kept: Spark, and what tests need. Used by spark-home.ts and scripts/. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** SLR_CACHE, else `.cache/` of a checkout, else `~/.cache/spark-lambda-relay` (XDG_CACHE_HOME). */
export function cacheDir(environment: NodeJS.ProcessEnv): string {
  if (environment.SLR_CACHE !== undefined && environment.SLR_CACHE !== '')
    return resolve(environment.SLR_CACHE)
  if (import.meta.url.endsWith('.ts')) return fileURLToPath(new URL('../.cache', import.meta.url))
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'spark-lambda-relay')
}
