/** The table of pods. */
import type { Pods, PodsOptions } from './types.ts'

export function createPods(_options: PodsOptions): Pods {
  throw new Error('createPods is being written')
}
