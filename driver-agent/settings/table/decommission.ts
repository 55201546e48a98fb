/** How an executor goes: its blocks move to the others first. Part of the settings table. */
import type { Context, Row } from '../row.ts'

const moves = 'a function ends at its lifetime at the latest, and its blocks are to outlive it'

function defaulted(key: string, why: string, value: (context: Context) => string | undefined): Row {
  return { key, kind: 'defaulted', why, value }
}

export const decommission: readonly Row[] = [
  defaulted('spark.decommission.enabled', moves, () => 'true'),
  defaulted('spark.storage.decommission.enabled', moves, () => 'true'),
  defaulted('spark.storage.decommission.shuffleBlocks.enabled', moves, () => 'true'),
  defaulted('spark.storage.decommission.rddBlocks.enabled', moves, () => 'true'),
  defaulted(
    'spark.storage.decommission.replicationReattemptInterval',
    'half a minute is long for a function',
    () => '2s',
  ),
  defaulted(
    'spark.storage.decommission.shuffleBlocks.maxDiskSize',
    "another executor's blocks must not fill a function's disk",
    ({ input }) => `${Math.floor(input.functionDiskBytes * 0.8)}b`,
  ),
  defaulted(
    'spark.stage.ignoreDecommissionFetchFailure',
    "a planned end is not the stage's failure",
    () => 'true',
  ),
  defaulted(
    'spark.scheduler.maxRetainedRemovedDecommissionExecutors',
    'Spark then knows that a fetch failed because of a planned end',
    () => '1000',
  ),
  defaulted(
    'spark.executor.decommission.forceKillTimeout',
    'the last executor has nowhere to move its blocks to, and would stay',
    () => '60s',
  ),
]
