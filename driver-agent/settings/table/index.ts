/**
 * The settings table: every Spark setting that the agent has a say in. SPARK.md says why in
 * full. Order matters: refusals come first, and a row sees what rows above it have set.
 */
import type { Row } from '../row.ts'
import { allocation } from './allocation.ts'
import { decommission } from './decommission.ts'
import { droppedRows } from './dropped.ts'
import { network } from './network.ts'
import { refused } from './refused.ts'

export const table: readonly Row[] = [...refused, ...droppedRows, ...network, ...decommission, ...allocation]
