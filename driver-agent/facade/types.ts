/** The face of the Kubernetes facade. Used by driver-agent/agent.ts and tests. */
import type { Logger } from 'pino'
import type { Clock } from '../../relay/time/clock.ts'
import type { Pods } from '../pods/index.ts'

export interface FacadeOptions {
  readonly pods: Pods
  /** What every call must carry as `Authorization: Bearer …`; 16 characters or more, never logged. */
  readonly token: string
  /** On 127.0.0.1. Default 0: a free one. */
  readonly port?: number
  readonly logger: Logger
  readonly clock: Clock
}

/** What has been asked of the facade since it listens. */
export interface CallsSeen {
  /** Calls with the right token. 0: the program has not reached us, so no function was started. */
  readonly count: number
  /** Clock's milliseconds of the newest of them; undefined when there was none. An open watch does not count as a call. */
  readonly lastAtMs: number | undefined
  /** Calls without the token or with a wrong one. */
  readonly unauthorised: number
}

export interface Facade {
  readonly port: number
  /** `http://127.0.0.1:PORT`; Spark's master is `k8s://` and this. */
  readonly url: string
  callsSeen(): CallsSeen
  /** Ends watches and connections, and stops listening. */
  close(): Promise<void>
}
