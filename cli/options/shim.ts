/**
 * Options of the hidden command `shim`, which the local provider starts. The type is what
 * executor-shim/main.ts gets. The payload comes as one line of JSON on stdin, never as an
 * argument: it holds secrets.
 */
import { path } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'
import { endpointOptions, logOptions } from './shared.ts'

export const shimOptions = {
  workDir: path('--work-dir', {
    value: 'folder',
    says: 'working folder of the executor (default: a fresh one)',
  }),
  executorLog: path('--executor-log', { says: 'file for the output of the executor’s JVM' }),
  sparkHome: path('--spark-home', { value: 'folder', says: 'Spark of this function (default: SPARK_HOME)' }),
  ...endpointOptions,
  ...logOptions,
} satisfies OptionTable

export type ShimOptions = OptionsOf<typeof shimOptions>
