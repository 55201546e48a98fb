/** What endpoint-main.ts is told to be. */

export interface EndpointPlan {
  /** Checkout whose code runs. */
  readonly root: string
  readonly app: string
  /** JSON, mode 0600: a token for each of `endpoints`. */
  readonly tokensFile: string
  readonly tlsCaFile?: string | undefined
  /** Each message of a control stream that somebody opens becomes a line of JSON on stdout. */
  readonly tellsControl: boolean
  readonly endpoints: readonly {
    readonly address: string
    readonly relays: readonly string[]
    readonly dials: readonly { readonly port: number; readonly class: 'bulk' | 'urgent' }[]
    /** `to`: port of 127.0.0.1. */
    readonly serves: readonly { readonly port: number; readonly to: number }[]
    /** As the shim has it: true. Many endpoints in one process: false, or each has a thread. */
    readonly bulkThread: boolean
    readonly limits?: Readonly<Record<string, number>> | undefined
  }[]
}
