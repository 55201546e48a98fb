/** The table of pods and its faces. Used by driver-agent/facade/ and driver-agent/agent.ts. */
export { PodsError, type PodsErrorCode } from './errors.ts'
export type { PodObject } from './object.ts'
// For the facade and tests.
export { applyPatch, type Patch } from './patch.ts'
export { createPods } from './pods.ts'
export { type PodSelector, parseSelector, selects } from './selector.ts'
export type {
  PodEvent,
  PodOutcome,
  PodStateName,
  Pods,
  PodsCounts,
  PodsOptions,
  PodsOutput,
  StartRequest,
  WatchEvent,
} from './types.ts'
