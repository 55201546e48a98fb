/**
 * The steps of a pod's life: every change of a state is made here, by `#enter`. Each public
 * method is one thing that can happen to a pod. Pure but for the clock; what is to be done outside
 * goes into the outbox. Used by table.ts only, inside `outbox.around`.
 */
import type { ShimMessage } from '../../executor-shim/control.ts'
import type { FunctionEnd } from '../provider.ts'
import { Addresses } from './addresses.ts'
import type { ChangeLog } from './change-log.ts'
import { resolveEnv } from './env.ts'
import { FunctionsAlive } from './functions.ts'
import { type Cause, judge } from './judge.ts'
import type { PodStatus } from './object.ts'
import type { Outbox } from './outbox.ts'
import { describeStep, type Pod, type PodState, publicName, release, stageOf } from './pod.ts'
import { Slots } from './slots.ts'
import { drainingStatus, endedSpec, endedStatus, pendingStatus, runningStatus, timestamp } from './status.ts'
import type { PodEvent, PodsOptions } from './types.ts'

/** How long an ended function's last words may be on their way: they cross the relay, its end does not. */
const LAST_WORDS_MS = 300
/** What a JVM that is overdue is given to end, so that its last lines are known; and all of it, with the way here. */
const OVERDUE_GRACE_MS = 1_000
const OVERDUE_MS = 3_000
/** A function that outlives its JVM, or a stop's grace, by this much is killed. */
const LINGER_MS = 5_000
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 20_000

export interface LivesContext {
  readonly options: Required<PodsOptions>
  readonly log: ChangeLog
  readonly outbox: Outbox
  /** A function was asked for at this address. */
  readonly addressed: (pod: Pod, address: string) => void
  /** No client sees the pod any more: its name is free. */
  readonly forgotten: (pod: Pod) => void
}

export class Lives {
  readonly functions: FunctionsAlive
  readonly totals = { gone: 0, failed: 0, started: 0, registered: 0 }
  readonly #context: LivesContext
  readonly #slots: Slots
  readonly #addresses = new Addresses()
  /** Executors that have reached the driver, and live. */
  #working = 0
  /** Functions that were asked for, have not reached the driver, and have no verdict yet. */
  #starting = 0
  /** Pods without a function, oldest first. */
  readonly #waiting = new Set<Pod>()
  /** Why no function is asked for any more. */
  #closedBecause: string | undefined

  constructor(context: LivesContext) {
    this.#context = context
    this.#slots = new Slots(context.options)
    this.functions = new FunctionsAlive(context.options.clock)
  }

  /** A pod was posted. */
  posted(pod: Pod): void {
    this.#announce(pod, 'absent')
    this.#waiting.add(pod)
    const { unfit } = pod.posted
    if (unfit === undefined) this.#startWaiting()
    else this.#end(pod, { is: 'unfit', why: unfit })
  }

  /** Nothing is started from here on. */
  closeStarts(reason: string): void {
    this.#closedBecause ??= reason
  }

  /** Its shim said something over the control stream. */
  heard(pod: Pod, message: ShimMessage): void {
    const { state } = pod
    switch (message.is) {
      case 'started':
        if (state.is === 'starting' && message.uid === pod.uid) this.#shimStarted(pod, message.sparkVersion)
        break
      case 'jvm-running':
        if (state.is === 'starting' && state.stage !== 'jvm') {
          this.#enter(pod, { ...state, stage: 'jvm' }, this.#runningStatus(pod))
        }
        break
      case 'rpc-opened':
        if (state.is === 'starting') this.#register(pod)
        break
      case 'draining':
        if (state.is === 'running') this.drain(pod, message.reason)
        break
      case 'exited':
        if (state.is === 'overdue') this.#end(pod, deadlineOf(state, message.lastLines))
        else if (state.is !== 'pending') this.#end(pod, { is: 'jvm-exited', word: message })
        break
    }
  }

  /** Spark is to ask for a replacement while this executor moves its blocks away. It must be running. */
  drain(pod: Pod, reason: string): void {
    this.#enter(pod, { is: 'draining', reason }, drainingStatus(pod.object.status, reason))
    // It no longer counts against the cap: its replacement may be waiting.
    this.#startWaiting()
  }

  /** Spark, or the end of the job, wants this pod gone; within `graceMs`, at once if that is 0. */
  stop(pod: Pod, reason: string, graceMs: number): void {
    const { state } = pod
    switch (state.is) {
      case 'ended':
        this.#forget(pod)
        break
      case 'pending':
        this.#end(pod, { is: 'deleted' })
        break
      case 'reaping':
        this.#end(pod, { is: 'function-ended', end: state.end }, 'stopping')
        break
      case 'overdue':
        this.#end(pod, deadlineOf(state), 'stopping')
        break
      case 'stopping':
        // Asked again, and now at once: kubectl delete --force.
        if (graceMs === 0) this.#kill(pod, reason)
        break
      case 'starting':
        // Without a JVM there is nothing to end in order, and each second is paid.
        this.#beginStopping(pod, reason, state.stage === 'jvm' ? graceMs : 0)
        break
      default:
        this.#beginStopping(pod, reason, graceMs)
    }
  }

  /** The pod's function is over. */
  functionEnded(pod: Pod, end: FunctionEnd): void {
    const { state } = pod
    const stage = stageOf(state)
    if (stage !== undefined && state.is !== 'pending') {
      if (state.is === 'starting' && end.why === 'not-started' && end.retryable) {
        this.#throttle(pod, state.throttled, end.detail)
      } else if (state.is === 'overdue') {
        // Its last lines may be on their way still.
        const patience = this.#after(LAST_WORDS_MS, () => this.#end(pod, deadlineOf(state)))
        this.#enter(pod, { ...state, patience })
      } else if (end.why === 'exited' && stage !== 'asked' && stage !== 'stopping') {
        // Its shim had a control stream, so its last words can still arrive.
        const patience = this.#after(LAST_WORDS_MS, () => this.#end(pod, { is: 'function-ended', end }))
        this.#enter(pod, { is: 'reaping', stage, end, patience })
      } else {
        this.#end(pod, { is: 'function-ended', end })
      }
    }
    this.#startWaiting()
  }

  /** Asks for functions as long as there is room, oldest pod first. */
  #startWaiting(): void {
    for (const pod of this.#waiting) {
      if (this.#closedBecause !== undefined) return
      if (pod.state.is !== 'pending' || pod.state.retry !== undefined) continue
      if (!this.#slots.hasRoom(this.functions.busy, this.#starting)) return
      this.#start(pod, pod.state.throttled)
    }
  }

  #start(pod: Pod, throttled: number): void {
    const { uid, posted } = pod
    const { options, outbox } = this.#context
    const { startDeadlineMs } = options
    const address = this.#addresses.take()
    const deadline = this.#after(startDeadlineMs, () => this.#overdue(pod, startDeadlineMs))
    pod.address = address
    this.#context.addressed(pod, address)
    this.#waiting.delete(pod)
    this.functions.add(pod)
    this.totals.started += 1
    const status = pendingStatus(posted, 'ContainerCreating', 'its function was asked for')
    this.#enter(pod, { is: 'starting', stage: 'asked', throttled, deadline }, status)
    const { name, labels, memoryBytes, cpus } = posted
    const env = resolveEnv(posted, pod.object, address)
    const request = {
      uid,
      address,
      sparkVersion: labels['spark-version'] ?? '',
      pod: { name, uid, namespace: options.namespace, labels, env, memoryBytes, cpus },
    }
    outbox.push(() => options.output.startFunction(request))
  }

  /** Its time to reach the driver is over. A JVM has a log, whose end says why: it is ended so that its shim tells it. */
  #overdue(pod: Pod, deadlineMs: number): void {
    const { options, outbox } = this.#context
    if (pod.state.is !== 'starting') return
    const cause = { is: 'deadline', deadlineMs } as const
    if (pod.state.stage !== 'jvm') return this.#end(pod, cause)
    const patience = this.#after(OVERDUE_MS, () => this.#end(pod, cause))
    outbox.push(() => options.output.stopFunction(pod.uid, 'its start took too long', OVERDUE_GRACE_MS))
    this.#enter(pod, { is: 'overdue', stage: 'jvm', deadlineMs, patience })
  }

  #shimStarted(pod: Pod, has: string): void {
    const wants = pod.posted.labels['spark-version']
    if (wants !== undefined && wants !== has) this.#end(pod, { is: 'other-version', has, wants })
    else if (pod.state.is === 'starting' && pod.state.stage === 'asked') {
      this.#enter(pod, { ...pod.state, stage: 'shim' })
    }
  }

  #register(pod: Pod): void {
    this.#slots.registered()
    this.totals.registered += 1
    // Running already, by `jvm-running`, unless that word came later.
    const told = pod.object.status.phase === 'Running'
    this.#enter(pod, { is: 'running' }, told ? undefined : this.#runningStatus(pod))
    this.#startWaiting()
  }

  #runningStatus(pod: Pod): PodStatus {
    return runningStatus(pod.posted, pod.address as string, timestamp(this.#context.options.wallMs()))
  }

  #beginStopping(pod: Pod, reason: string, graceMs: number): void {
    const { options, outbox } = this.#context
    const kill = this.#after(graceMs + LINGER_MS, () =>
      this.#kill(pod, `${reason}; it did not end by itself`),
    )
    if (graceMs === 0) this.#kill(pod, reason)
    else outbox.push(() => options.output.stopFunction(pod.uid, reason, graceMs))
    const deletionTimestamp = timestamp(options.wallMs() + graceMs)
    const deletionGracePeriodSeconds = Math.ceil(graceMs / 1_000)
    const { metadata, status } = pod.object
    pod.object = { ...pod.object, metadata: { ...metadata, deletionTimestamp, deletionGracePeriodSeconds } }
    this.#enter(pod, { is: 'stopping', reason, kill }, status)
  }

  /** The platform has no room now. Spark must not hear of it: a failed executor counts. */
  #throttle(pod: Pod, throttled: number, detail: string): void {
    const longestMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** throttled)
    // Between half and all of it, so that a hundred throttled pods do not come back together.
    const retry = this.#after(longestMs * (0.5 + Math.random() / 2), () => {
      if (pod.state.is === 'pending') pod.state = { ...pod.state, retry: undefined }
      this.#startWaiting()
    })
    pod.address = undefined
    this.#waiting.add(pod)
    const status = pendingStatus(pod.posted, 'Throttled', `the platform has no room now: ${detail}`)
    this.#enter(pod, { is: 'pending', throttled: throttled + 1, retry }, status)
  }

  /** The verdict: Spark is told, and what is left of the function is ended. */
  #end(pod: Pod, cause: Cause, stage = stageOf(pod.state)): void {
    if (stage === undefined) return
    const { posted } = pod
    const verdict = judge(stage, cause)
    const { outcome, message } = verdict
    const finishedAt = timestamp(this.#context.options.wallMs())
    const { status, spec } = pod.object
    const endStatus = endedStatus(posted, status, verdict, finishedAt)
    this.#waiting.delete(pod)
    this.totals[outcome] += 1
    pod.object = { ...pod.object, spec: endedSpec(spec, posted), status: endStatus }
    const from = { pod: posted.name, address: pod.address, outcome, reason: verdict.reason, stage }
    this.#context.options.logger.info(from, message)
    // A pod that is gone is told once, as DELETED, by #forget.
    this.#enter(pod, { is: 'ended', outcome, reason: message }, outcome === 'gone' ? undefined : endStatus)
    if (outcome === 'gone') this.#forget(pod)
    if (cause.is !== 'jvm-exited') this.#kill(pod, message)
    else this.functions.expectEnd(pod.uid, LINGER_MS, () => this.#late(pod))
    if (outcome === 'failed' && stage !== 'running' && stage !== 'draining') this.#startFailed(message)
    this.#startWaiting()
  }

  #startFailed(message: string): void {
    // As long as an executor works, others can start here: late ones are its driver's to judge. And a driver
    // that was killed answers none: that says nothing of the next one's.
    if (this.#working > 0 || this.#context.log.isAbandoned) return
    this.#slots.failed()
    if (!this.#slots.hopeless || this.#closedBecause !== undefined) return
    const sentence = `${this.#slots.hopelessAt} executors in a row did not start; the last one: ${message}`
    this.#closedBecause = sentence
    this.#context.outbox.push(() => this.#context.options.output.onHopeless(sentence))
  }

  #late(pod: Pod): void {
    this.#context.outbox.around(() => this.#kill(pod, 'it outlives its JVM'))
  }

  #kill(pod: Pod, reason: string): void {
    const { options, outbox } = this.#context
    if (this.functions.has(pod.uid)) outbox.push(() => options.output.killFunction(pod.uid, reason))
  }

  /** Spark is told DELETED, and the name is free. */
  #forget(pod: Pod): void {
    const { metadata } = pod.object
    // A stopping pod had the end of its grace there: now it is over.
    const deletionTimestamp = timestamp(this.#context.options.wallMs())
    pod.object = this.#context.log.remove({ ...pod.object, metadata: { ...metadata, deletionTimestamp } })
    this.#context.forgotten(pod)
  }

  /** The only place that changes what a pod is. With `status`, Spark is told. */
  #enter(pod: Pod, to: PodState, status?: PodStatus): void {
    const from = pod.state
    if (from.is === 'ended') throw new Error(`pod ${pod.posted.name} has ended, cannot become ${to.is}`)
    // The deadline runs on through the steps of a start.
    if (from.is !== 'starting' || to.is !== 'starting') release(from)
    pod.state = to
    this.#working += works(to) - works(from)
    this.#starting += starts(to) - starts(from)
    if (status !== undefined) pod.object = this.#context.log.set({ ...pod.object, status })
    if (publicName(from) !== publicName(to)) this.#announce(pod, publicName(from))
  }

  #announce(pod: Pod, from: PodEvent['from']): void {
    const { options, outbox } = this.#context
    const event = describeStep(pod, from, options.clock.now())
    outbox.push(() => options.output.podEvent(event))
  }

  #after(delayMs: number, then: () => void) {
    return this.#context.options.clock.after(delayMs, () => this.#context.outbox.around(then))
  }
}

function deadlineOf(
  { deadlineMs }: Extract<PodState, { is: 'overdue' }>,
  lastLines?: readonly string[],
): Cause {
  return { is: 'deadline', deadlineMs, ...(lastLines === undefined ? {} : { lastLines }) }
}

/** A function whose end is known and whose verdict is not will count as a failed start in a moment. */
function starts(state: PodState): number {
  return publicName(state) === 'starting' ? 1 : 0
}

function works({ is }: PodState): number {
  return is === 'running' || is === 'draining' ? 1 : 0
}
