/** A pod as Kubernetes writes it, as far as we look into it. */

export interface ContainerState {
  waiting?: { reason: string; message?: string }
  running?: { startedAt: string }
  terminated?: {
    exitCode: number
    signal?: number
    reason: string
    message?: string
    startedAt?: string
    finishedAt: string
  }
}

export interface ContainerStatus {
  name: string
  image: string
  imageID: string
  ready: boolean
  restartCount: number
  /** Spark dereferences it without a look, so every entry has one. */
  state: ContainerState
}

export interface PodMetadata {
  name: string
  namespace: string
  uid: string
  resourceVersion: string
  creationTimestamp: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels: Record<string, string>
  annotations?: Record<string, string>
}

export interface PodStatus {
  phase: 'Pending' | 'Running' | 'Terminating' | 'Failed'
  /** A word, as `StartDeadline`; and the sentence. */
  reason?: string
  message?: string
  podIP?: string
  podIPs?: { ip: string }[]
  hostIP?: string
  startTime?: string
  containerStatuses?: ContainerStatus[]
}

/** Never changed in place: each change makes a new one with a higher resourceVersion. */
export interface PodObject {
  apiVersion: 'v1'
  kind: 'Pod'
  metadata: PodMetadata
  /** As it was posted; emptied when the pod has ended, since its env holds secrets. */
  spec: Record<string, unknown>
  status: PodStatus
}
