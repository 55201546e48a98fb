/**
 * One pod: what was posted, what Spark sees, and the state it is in. Only lives.ts changes
 * one. The states and who leaves them:
 *
 *   pending ──► starting ──► running ──► draining      by slots, the shim's words, drain()
 *      ▲───────────┘ (throttled)                       by a provider that says "later"
 *   any of them ──► stopping                           Spark's DELETE, or the end of the job
 *   starting ──► overdue                               by its deadline: its JVM is being ended, for its last lines
 *   starting, running, draining ──► reaping            the function is over, its last words may be on the way
 *   any of them ──► ended                              by a verdict (judge.ts); nothing leaves ended
 */
import type { Timer } from '../../relay/time/clock.ts'
import type { FunctionEnd } from '../provider.ts'
import type { Stage } from './judge.ts'
import type { PodObject } from './object.ts'
import type { PostedPod } from './posted.ts'
import type { PodEvent, PodOutcome, PodStateName } from './types.ts'

export type PodState =
  /** `retry` runs while the platform throttles. */
  | { readonly is: 'pending'; readonly throttled: number; readonly retry: Timer | undefined }
  | {
      readonly is: 'starting'
      readonly throttled: number
      readonly stage: 'asked' | 'shim' | 'jvm'
      readonly deadline: Timer
    }
  | { readonly is: 'running' }
  | { readonly is: 'draining'; readonly reason: string }
  /** `kill` ends the function when grace is over; undefined without a function. */
  | { readonly is: 'stopping'; readonly reason: string; readonly kill: Timer }
  | {
      readonly is: 'overdue'
      readonly stage: 'jvm'
      readonly deadlineMs: number
      readonly patience: Timer
    }
  | { readonly is: 'reaping'; readonly stage: Stage; readonly end: FunctionEnd; readonly patience: Timer }
  | { readonly is: 'ended'; readonly outcome: PodOutcome; readonly reason: string }

export interface Pod {
  readonly uid: string
  readonly posted: PostedPod
  readonly postedMs: number
  object: PodObject
  state: PodState
  /** Of the newest function that was asked for. */
  address: string | undefined
}

/** The part of the life that `judge` asks about. */
export function stageOf(state: PodState): Stage | undefined {
  switch (state.is) {
    case 'starting':
    case 'overdue':
    case 'reaping':
      return state.stage
    case 'ended':
      return undefined
    default:
      return state.is
  }
}

/** Under which name the outside knows a state: a pod whose last words are waited for is still what it was. */
export function publicName(state: PodState): PodStateName {
  if (state.is !== 'reaping' && state.is !== 'overdue') return state.is
  if (state.stage === 'asked' || state.stage === 'shim' || state.stage === 'jvm') return 'starting'
  return state.stage
}

/** Cancels what the state owns. Called by whoever leaves it. */
export function release(state: PodState): void {
  if (state.is === 'pending') state.retry?.cancel()
  else if (state.is === 'starting') state.deadline.cancel()
  else if (state.is === 'stopping') state.kill.cancel()
  else if (state.is === 'reaping' || state.is === 'overdue') state.patience.cancel()
}

/** The step that a pod has just made. */
export function describeStep(pod: Pod, from: PodEvent['from'], nowMs: number): PodEvent {
  const { state, posted, address } = pod
  return {
    uid: pod.uid,
    name: posted.name,
    executorId: posted.labels['spark-exec-id'] ?? '',
    ...(address === undefined ? {} : { address }),
    from,
    to: publicName(state),
    atMs: nowMs,
    ageMs: nowMs - pod.postedMs,
    ...(state.is === 'ended' ? { outcome: state.outcome } : {}),
    ...('reason' in state ? { reason: state.reason } : {}),
  }
}
