/**
 * The table of pods: who is there, what a client may ask, and to which pod something happened.
 * What then becomes of the pod is decided in lives.ts. Made by createPods.
 */
import { randomUUID } from 'node:crypto'
import type { ShimMessage } from '../../executor-shim/control.ts'
import type { FunctionEnd } from '../provider.ts'
import { ChangeLog } from './change-log.ts'
import { PodsError } from './errors.ts'
import { Lives } from './lives.ts'
import type { PodObject } from './object.ts'
import { Outbox } from './outbox.ts'
import { applyPatch, type Patch } from './patch.ts'
import { type Pod, publicName, release } from './pod.ts'
import { readPostedPod } from './posted.ts'
import type { PodSelector } from './selector.ts'
import { pendingStatus, timestamp } from './status.ts'
import type { Pods, PodsCounts, PodsOptions, WatchEvent } from './types.ts'

export class PodTable implements Pods {
  readonly namespace: string
  readonly #options: Required<PodsOptions>
  readonly #log: ChangeLog
  readonly #outbox: Outbox
  readonly #lives: Lives
  /** Every pod that a client can see. */
  readonly #byName = new Map<string, Pod>()
  readonly #byUid = new Map<string, Pod>()
  /** Every address ever given out. */
  readonly #uids = new Map<string, string>()

  constructor(options: PodsOptions) {
    this.#options = {
      startDeadlineMs: 60_000,
      stopGraceMs: 10_000,
      endedKept: 10_000,
      wallMs: Date.now,
      ...options,
    }
    this.namespace = options.namespace
    this.#log = new ChangeLog({ clock: options.clock, endedKept: this.#options.endedKept })
    this.#outbox = new Outbox(options.logger)
    this.#lives = new Lives({
      options: this.#options,
      log: this.#log,
      outbox: this.#outbox,
      addressed: (pod, address) => this.#uids.set(address, pod.uid),
      forgotten: (pod) => {
        this.#byName.delete(pod.posted.name)
        this.#byUid.delete(pod.uid)
      },
    })
  }

  get resourceVersion(): string {
    return this.#log.version
  }

  create(body: unknown): PodObject {
    const posted = readPostedPod(body)
    if (this.#byName.has(posted.name)) throw new PodsError('exists', `pods "${posted.name}" already exists`)
    return this.#outbox.around(() => {
      const uid = randomUUID()
      const object = this.#log.set({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: posted.name,
          namespace: this.namespace,
          uid,
          resourceVersion: '0',
          creationTimestamp: timestamp(this.#options.wallMs()),
          labels: posted.labels,
          ...(posted.annotations === undefined ? {} : { annotations: posted.annotations }),
        },
        spec: posted.spec,
        status: pendingStatus(posted, 'Waiting', 'waits for a function'),
      })
      const pod: Pod = {
        uid,
        posted,
        postedMs: this.#options.clock.now(),
        object,
        state: { is: 'pending', throttled: 0, retry: undefined },
        address: undefined,
      }
      this.#byName.set(posted.name, pod)
      this.#byUid.set(uid, pod)
      this.#lives.posted(pod)
      // The answer is the Pending pod whatever follows: what follows comes over the watch.
      return object
    })
  }

  get(name: string): PodObject | undefined {
    return this.#byName.get(name)?.object
  }

  list(selector: PodSelector): PodObject[] {
    return this.#log.list(selector)
  }

  watch(
    selector: PodSelector,
    resourceVersion: string | undefined,
    tell: (event: WatchEvent) => void,
  ): () => void {
    return this.#log.watch(selector, resourceVersion, tell)
  }

  patch(name: string, patch: Patch): PodObject {
    const pod = this.#named(name)
    const { metadata } = pod.object
    const patched = applyPatch({ metadata }, patch) as { metadata?: Record<string, unknown> } | null
    const labels = readStrings(patched?.metadata?.labels, 'labels') ?? {}
    const annotations = readStrings(patched?.metadata?.annotations, 'annotations')
    const { annotations: _, ...rest } = metadata
    return this.#outbox.around(() => {
      pod.object = this.#log.set({
        ...pod.object,
        metadata: { ...rest, labels, ...(annotations === undefined ? {} : { annotations }) },
      })
      return pod.object
    })
  }

  remove(name: string, graceSeconds?: number): PodObject {
    const pod = this.#named(name)
    return this.#outbox.around(() => {
      const graceMs = Math.min(this.#options.stopGraceMs, (graceSeconds ?? Number.POSITIVE_INFINITY) * 1_000)
      this.#lives.stop(pod, 'Spark deleted its pod', graceMs)
      return pod.object
    })
  }

  stopAll(reason: string): void {
    this.#outbox.around(() => {
      this.#lives.closeStarts(reason)
      for (const pod of [...this.#byName.values()]) this.#lives.stop(pod, reason, this.#options.stopGraceMs)
    })
  }

  drain(uid: string, reason: string): boolean {
    const pod = this.#byUid.get(uid)
    if (pod?.state.is !== 'running') return false
    this.#outbox.around(() => {
      this.#outbox.push(() => this.#options.output.drainFunction(uid, reason))
      this.#lives.drain(pod, reason)
    })
    return true
  }

  uidOf(address: string): string | undefined {
    return this.#uids.get(address)
  }

  handleFunctionEnd(uid: string, end: FunctionEnd): void {
    const pod = this.#lives.functions.take(uid)
    if (pod !== undefined) this.#outbox.around(() => this.#lives.functionEnded(pod, end))
  }

  handleShimMessage(peer: string, message: ShimMessage): void {
    const pod = this.#byUid.get(this.#uids.get(peer) ?? '')
    // A pod that was throttled has another address by now: words from the old one are not its own.
    if (pod?.address === peer) this.#outbox.around(() => this.#lives.heard(pod, message))
  }

  counts(): PodsCounts {
    const counts = { pending: 0, starting: 0, running: 0, draining: 0, stopping: 0, ended: 0 }
    for (const { state } of this.#byName.values()) counts[publicName(state)] += 1
    const { ended: _, ...living } = counts
    const { gone, failed, started, registered } = this.#lives.totals
    return {
      ...living,
      gone,
      failed,
      functionsStarted: started,
      functionsRegistered: registered,
      functionsAlive: this.#lives.functions.size,
    }
  }

  close(): void {
    this.#lives.closeStarts('the table is closed')
    for (const { state } of this.#byName.values()) release(state)
    this.#lives.functions.close()
  }

  #named(name: string): Pod {
    const pod = this.#byName.get(name)
    if (pod === undefined) throw new PodsError('absent', `pods "${name}" not found`)
    return pod
  }
}

function readStrings(value: unknown, what: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  const wellFormed =
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string')
  if (!wellFormed) throw new PodsError('invalid', `metadata.${what} must be a map of strings`)
  return value as Record<string, string>
}
