/**
 * A table of pods with a clock that the test moves and an outside that only writes down what it
 * is asked. Used by tests of driver-agent/pods and driver-agent/facade.
 */
import { pino } from 'pino'
import {
  createPods,
  type PodEvent,
  type PodObject,
  type Pods,
  type PodsOptions,
  parseSelector,
  type StartRequest,
  type WatchEvent,
} from '../../driver-agent/pods/index.ts'
import type { FunctionEnd } from '../../driver-agent/provider.ts'
import type { ShimMessage } from '../../executor-shim/control.ts'
import { ManualClock } from './manual-clock.ts'

export interface Asked {
  readonly started: StartRequest[]
  readonly stopped: { uid: string; reason: string; graceMs: number }[]
  readonly drained: string[]
  readonly killed: string[]
  readonly events: PodEvent[]
  readonly hopeless: string[]
}

export interface PodsWorld {
  readonly pods: Pods
  readonly clock: ManualClock
  readonly asked: Asked
  /** Posts executor `number` and returns its pod. */
  post(number: number, change?: (body: PostedBody) => void): PodObject
  /** The newest start request of a pod. */
  startOf(pod: PodObject): StartRequest
  /** A word of the pod's shim. */
  say(pod: PodObject, message: ShimMessage): void
  /** All words up to a running executor. */
  run(pod: PodObject): void
  end(pod: PodObject, end: FunctionEnd): void
  /** Names of pods still there, with their phases. */
  phases(): Record<string, string>
  /** Everything a watch of all pods is told from now on. */
  watchAll(resourceVersion?: string): WatchEvent[]
}

/** As Spark posts one, cut down to what matters. */
export function executorPod(number: number) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `job-1-exec-${number}`,
      labels: {
        'spark-exec-id': String(number),
        'spark-app-selector': 'spark-abc',
        'spark-role': 'executor',
        'spark-version': '4.3.0',
      } as Record<string, string>,
    },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'spark-kubernetes-executor',
          image: 'x',
          args: ['executor'],
          env: [
            { name: 'SPARK_EXECUTOR_ID', value: String(number) },
            { name: '_SPARK_AUTH_SECRET', value: 'not-to-be-seen' },
            { name: 'SPARK_EXECUTOR_POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'SPARK_EXECUTOR_POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          ] as { name: string; value?: string; valueFrom?: object }[],
          resources: {
            limits: { memory: '984Mi' } as Record<string, string>,
            requests: { memory: '984Mi', cpu: '1' } as Record<string, string>,
          },
        },
      ],
      volumes: [] as object[],
    },
  }
}
export type PostedBody = ReturnType<typeof executorPod>

export const all = parseSelector(undefined, undefined)

export function startedWord(pod: PodObject, address: string, sparkVersion = '4.3.0'): ShimMessage {
  const { name, uid } = pod.metadata
  return { is: 'started', pod: name, uid, address, sparkVersion, shimPid: 7, residentBytes: 1, attachedMs: 5 }
}

export function exitedWord(
  code: number | null,
  signal: string | null = null,
  lastLines: string[] = [],
): ShimMessage {
  return { is: 'exited', code, signal, lastLines, maxResidentBytes: 1 }
}

export function createPodsWorld(
  options: Partial<Omit<PodsOptions, 'clock' | 'logger' | 'output'>> = {},
): PodsWorld {
  const clock = new ManualClock()
  const asked: Asked = { started: [], stopped: [], drained: [], killed: [], events: [], hopeless: [] }
  const pods = createPods({
    namespace: 'spark',
    maxExecutors: 100,
    instances: 2,
    clock,
    wallMs: () => Date.UTC(2026, 0, 1) + clock.now(),
    logger: pino({ level: 'silent' }),
    output: {
      startFunction: (request) => asked.started.push(request),
      stopFunction: (uid, reason, graceMs) => asked.stopped.push({ uid, reason, graceMs }),
      drainFunction: (uid) => asked.drained.push(uid),
      killFunction: (uid) => asked.killed.push(uid),
      podEvent: (event) => asked.events.push(event),
      onHopeless: (reason) => asked.hopeless.push(reason),
    },
    ...options,
  })
  const startOf = (pod: PodObject): StartRequest => {
    const found = asked.started.findLast(({ uid }) => uid === pod.metadata.uid)
    if (found === undefined) throw new Error(`${pod.metadata.name} has not been started`)
    return found
  }
  const say = (pod: PodObject, message: ShimMessage): void =>
    pods.handleShimMessage(startOf(pod).address, message)
  return {
    pods,
    clock,
    asked,
    post: (number, change) => {
      const body = executorPod(number)
      change?.(body)
      return pods.create(body)
    },
    startOf,
    say,
    run: (pod) => {
      say(pod, startedWord(pod, startOf(pod).address, startOf(pod).sparkVersion))
      say(pod, { is: 'jvm-running', pid: 8 })
      say(pod, { is: 'rpc-opened' })
    },
    end: (pod, end) => pods.handleFunctionEnd(pod.metadata.uid, end),
    phases: () =>
      Object.fromEntries(pods.list(all).map(({ metadata, status }) => [metadata.name, status.phase])),
    watchAll: (resourceVersion) => {
      const events: WatchEvent[] = []
      pods.watch(all, resourceVersion, (event) => events.push(event))
      return events
    },
  }
}
