/**
 * The faces of the table of pods: what goes in (calls of the facade, ends of functions, words
 * of shims), and what comes out (functions to start and stop, news of pods). Used by
 * driver-agent/facade/, driver-agent/agent.ts and tests.
 */
import type { Logger } from 'pino'
import type { ShimMessage } from '../../executor-shim/control.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import type { Clock } from '../../relay/time/clock.ts'
import type { FunctionEnd } from '../provider.ts'
import type { PodObject } from './object.ts'
import type { Patch } from './patch.ts'
import type { PodSelector } from './selector.ts'

/** One function to start. The agent adds what pods do not know: application, token, relays, ports, lifetime. */
export interface StartRequest {
  /** Names the pod, and the function, in everything that follows. */
  readonly uid: string
  /** Virtual address of this function; never given out again. */
  readonly address: string
  /** Goes into `FunctionPayload.pod` as it is. */
  readonly pod: FunctionPayload['pod']
  /** The pod's `spark-version` label; empty when the pod has none. */
  readonly sparkVersion: string
}

/**
 * Where a pod is: pending → starting → running ⇄ draining → ended, and from any of them
 * stopping → ended once Spark has deleted it. `pending`: accepted, no function yet (over the
 * cap, or the platform throttles). `starting`: a function is asked for, its deadline runs.
 * `running`: it has opened a stream to the driver's RPC port.
 */
export type PodStateName = 'pending' | 'starting' | 'running' | 'draining' | 'stopping' | 'ended'

/** What Spark was told at the end: SPARK.md, "Life and death of a pod". */
export type PodOutcome = 'gone' | 'failed'

/** One step of a pod's life, for logs, the live line and the summary. */
export interface PodEvent {
  readonly uid: string
  readonly name: string
  /** Spark's number of the executor (label spark-exec-id); empty when it has none. */
  readonly executorId: string
  /** Absent as long as no function was asked for. */
  readonly address?: string
  readonly from: PodStateName | 'absent'
  readonly to: PodStateName
  /** Clock's milliseconds. */
  readonly atMs: number
  /** Milliseconds since the POST. */
  readonly ageMs: number
  /** On `ended` only. */
  readonly outcome?: PodOutcome
  /** Why, in a sentence; on `ended`, `draining` and `stopping`. */
  readonly reason?: string
}

/** What the table asks of the agent. None of these may throw; none is called from within itself. */
export interface PodsOutput {
  /** Start one function. Its end comes back by `handleFunctionEnd`, exactly once a call. */
  startFunction(request: StartRequest): void
  /**
   * Ask the function to end by itself within `graceMs` (AgentMessage `stop`). Nothing to be done
   * when there is no control stream yet: `killFunction` follows when grace is over.
   */
  stopFunction(uid: string, reason: string, graceMs: number): void
  /** Ask the function to drain (AgentMessage `drain`). */
  drainFunction(uid: string, reason: string): void
  /** End the function at once (FunctionHandle.stop). */
  killFunction(uid: string, reason: string): void
  /** A pod changed its state. On `ended` with an address: that address can be retired. */
  podEvent(event: PodEvent): void
  /** Called at most once: executors cannot start here. No more functions will be asked for; end the job with this sentence. */
  onHopeless(reason: string): void
}

export interface PodsOptions {
  /** `spark.kubernetes.namespace`. */
  readonly namespace: string
  /** Functions alive at once, draining ones aside; pods over it are answered 201 and stay Pending. 1 or more. */
  readonly maxExecutors: number
  /**
   * `spark.executor.instances` (0 under dynamic allocation): min(20, max(3, 2 × instances)) failed
   * starts in a row, while no executor works, are taken as hopeless.
   */
  readonly instances: number
  /** From the function being asked for to its first RPC stream, ms. Default 60,000. */
  readonly startDeadlineMs?: number
  /** How long a deleted pod's JVM may take to end by itself, ms. Default 10,000; a shorter gracePeriodSeconds wins. */
  readonly stopGraceMs?: number
  /** Ended pods that watches can still be told of. Default 10,000 (about 1 KiB each). */
  readonly endedKept?: number
  readonly clock: Clock
  /** Wall clock for creationTimestamp and deletionTimestamp, ms since 1970. Default Date.now. */
  readonly wallMs?: () => number
  readonly logger: Logger
  readonly output: PodsOutput
}

/** One line of a watch. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: PodObject
}

export interface PodsCounts {
  readonly pending: number
  readonly starting: number
  readonly running: number
  readonly draining: number
  readonly stopping: number
  /** Ever ended, by outcome. */
  readonly gone: number
  readonly failed: number
  /** Ever asked for; ever reached the driver's RPC port. */
  readonly functionsStarted: number
  readonly functionsRegistered: number
  /** Functions alive now, also those whose pod has ended. */
  readonly functionsAlive: number
}

/** The table of pods. Everything is synchronous; nothing throws but `PodsError`, and that only to the facade. */
export interface Pods {
  readonly namespace: string
  /** Of the newest change; what a list carries. */
  readonly resourceVersion: string

  // For the facade.
  /** Throws PodsError `invalid` or `exists`. */
  create(body: unknown): PodObject
  get(name: string): PodObject | undefined
  list(selector: PodSelector): PodObject[]
  /** `graceSeconds` 0 kills at once. Throws PodsError `absent`. */
  remove(name: string, graceSeconds?: number): PodObject
  /** Labels and annotations change, nothing else. Throws PodsError `absent` or `invalid`. */
  patch(name: string, patch: Patch): PodObject
  /**
   * Everything that matters after `resourceVersion` (absent or '0': every pod there is), then
   * each change as it comes, until the returned function is called.
   */
  watch(
    selector: PodSelector,
    resourceVersion: string | undefined,
    tell: (event: WatchEvent) => void,
  ): () => void

  // For the agent.
  /** A function has ended. `uid` as in StartRequest. */
  handleFunctionEnd(uid: string, end: FunctionEnd): void
  /** `peer`: the virtual address of the control stream, which its token proves. Unknown peers are ignored. */
  handleShimMessage(peer: string, message: ShimMessage): void
  /** uid of the pod whose function has (or had) this address. */
  uidOf(address: string): string | undefined
  /** Spark asks for a replacement at once and this executor moves its blocks away (SIGPWR). False when it is not running. */
  drain(uid: string, reason: string): boolean
  /** The job is over: no more starts; every function is asked to stop. Settled by further handleFunctionEnd calls. */
  stopAll(reason: string): void
  counts(): PodsCounts
  /** Cancels all timers. */
  close(): void
}
