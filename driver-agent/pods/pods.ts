/** Makes the table of pods. Used by driver-agent/agent.ts and tests. */
import { PodTable } from './table.ts'
import type { Pods, PodsOptions } from './types.ts'

export function createPods(options: PodsOptions): Pods {
  return new PodTable(options)
}
