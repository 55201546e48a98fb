/** A pod's status, as Spark reads it. Pure. Used by table.ts. */
import type { Verdict } from './judge.ts'
import type { ContainerState, PodObject, PodStatus } from './object.ts'
import type { PostedPod } from './posted.ts'

/** RFC 3339 with whole seconds, as the API writes times. */
export function timestamp(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`
}

type Container = Pick<PostedPod, 'containerName' | 'image'>

function withContainer(
  container: Container,
  state: ContainerState,
  ready: boolean,
): PodStatus['containerStatuses'] {
  return [
    { name: container.containerName, image: container.image, imageID: '', ready, restartCount: 0, state },
  ]
}

/** No function yet: `why` says what it waits for. */
export function pendingStatus(container: Container, reason: string, why: string): PodStatus {
  const waiting = { reason, message: why }
  return { phase: 'Pending', message: why, containerStatuses: withContainer(container, { waiting }, false) }
}

export function runningStatus(container: Container, address: string, startedAt: string): PodStatus {
  return {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    startTime: startedAt,
    containerStatuses: withContainer(container, { running: { startedAt } }, true),
  }
}

/** No Kubernetes has this phase; Spark asks for a replacement at once and lets the executor work on. */
export function drainingStatus(now: PodStatus, reason: string): PodStatus {
  return { ...now, phase: 'Terminating', reason: 'Draining', message: reason }
}

export function endedStatus(
  container: Container,
  now: PodStatus,
  verdict: Verdict,
  finishedAt: string,
): PodStatus {
  const startedAt = now.startTime
  const terminated = {
    exitCode: verdict.exitCode,
    ...(verdict.signal === undefined ? {} : { signal: verdict.signal }),
    reason: verdict.reason,
    message: verdict.message,
    ...(startedAt === undefined ? {} : { startedAt }),
    finishedAt,
  }
  return {
    ...now,
    phase: 'Failed',
    reason: verdict.reason,
    message: verdict.message,
    containerStatuses: withContainer(container, { terminated }, false),
  }
}

/** What is left of an ended pod's spec: its env held secrets, and nobody reads it any more. */
export function endedSpec(spec: PodObject['spec'], container: Container): PodObject['spec'] {
  const { hostname, restartPolicy } = spec
  return { hostname, restartPolicy, containers: [{ name: container.containerName, image: container.image }] }
}
