/**
 * What all parts of a relay node share: who it is, what it was given, and its state. Made by
 * node.ts; the parts beside it (admission, asks, joining, residents, lease keeper) get it.
 */
import { type Directory, DirectoryError } from '../directory/directory.ts'
import type { Clock } from '../time/clock.ts'
import type { Hello, TrafficClass } from '../wire/control.ts'
import { type CloseReason, RelayError } from '../wire/errors.ts'
import type { RelayLimits } from './limits.ts'
import { Lookups } from './lookups.ts'
import type { RelayMetrics } from './metrics.ts'
import type { RelayLink } from './relay-link.ts'
import { Visitors } from './visitors.ts'

/** What a token proves. */
export interface Identity {
  readonly app: string
  readonly address: string
  /** Of the token; a higher one takes the address over. */
  readonly generation: number
  readonly role: 'driver' | 'executor' | 'tool'
}

/** Where a relay's events go; `app` and `address` are for logs only, never for metrics. */
export interface RelayLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface RelayNodeOptions {
  /** Identity of this process, at most 64 characters. */
  readonly node: string
  /** URLs by which endpoints reach it. */
  readonly urls: readonly string[]
  readonly clock: Clock
  readonly directory: Directory
  /** Rejects with RelayError unauthorized, expired or forbidden. */
  readonly verify: (token: string, hello: Hello) => Promise<Identity>
  readonly limits: RelayLimits
  readonly metrics: RelayMetrics
  readonly log: RelayLog
  /** Classes that it wants to be home for. Default: both. */
  readonly classes?: readonly TrafficClass[]
  /** 0 to 1, for the choice between relays. Default: Math.random. */
  readonly random?: () => number
}

/** serving: takes new links. draining: GO_AWAY was said. over: nothing is left. */
export type NodeState = 'serving' | 'draining' | 'over'

export class NodeContext {
  readonly node: string
  readonly urls: readonly string[]
  readonly clock: Clock
  readonly directory: Directory
  readonly verify: RelayNodeOptions['verify']
  readonly limits: RelayLimits
  readonly metrics: RelayMetrics
  readonly log: RelayLog
  /** Classes that this relay wants to be home for. */
  readonly classes: readonly TrafficClass[]
  /** Where addresses are: all that ask the directory for one ask here. */
  readonly lookups: Lookups
  readonly startedMs: number
  /** Every connection that was accepted and is not over, handshake done or not. */
  readonly links = new Set<RelayLink>()
  /** Of those that are up, the visiting ones. */
  readonly visitors = new Visitors()
  state: NodeState = 'serving'
  /** The directory was out of reach for so long that endpoints were asked to move. */
  isCutOff = false
  /** Of a relay that drains: when it ends at the latest. */
  #drainEndsMs = Number.POSITIVE_INFINITY
  /** When the directory was last heard to be back. */
  returnedMs = Number.NEGATIVE_INFINITY

  constructor(options: RelayNodeOptions) {
    this.node = options.node
    this.urls = options.urls
    this.clock = options.clock
    this.directory = options.directory
    this.lookups = new Lookups(options.directory)
    this.verify = options.verify
    this.limits = options.limits
    this.metrics = options.metrics
    this.log = options.log
    this.classes = options.classes ?? ['urgent', 'bulk']
    this.startedMs = options.clock.now()
  }

  get attachedLinks(): number {
    const { urgent, bulk } = this.metrics.links
    return urgent.attached + bulk.attached
  }

  /** Links that are past their handshake. */
  get upLinks(): number {
    const { urgent, bulk } = this.metrics.links
    return this.attachedLinks + urgent.visiting + bulk.visiting
  }

  beginDraining(): void {
    this.state = 'draining'
    this.#drainEndsMs = this.clock.now() + this.limits.drainMs
  }
  /** What is left until a relay that drains ends, whoever is still here, ms. */
  get drainLeftMs(): number {
    return Math.max(0, this.#drainEndsMs - this.clock.now())
  }

  /**
   * Whether a relay tells of itself. The home of an address that fell silent is not worth a dial:
   * the address is on its way to another. When nobody is heard, that says nothing.
   */
  lives(node: string): boolean {
    const records = this.directory.nodes()
    const others = records.filter((record) => record.node !== this.node)
    return others.length === 0 || others.some((record) => record.node === node)
  }

  /** Grace counts from our own readiness and from the directory's: whoever was home may be on its way back. */
  get mayStillCome(): boolean {
    const since = Math.max(this.startedMs, this.directory.emptySinceMs)
    return this.clock.now() - since < this.limits.graceMs
  }

  reportFault(error: unknown): void {
    this.log.error({ err: error }, 'a fault of the relay closed a link')
  }
}

/** Whatever went wrong, as what the link is closed with. */
export function asRelayError(cause: unknown): RelayError {
  if (cause instanceof RelayError) return cause
  if (cause instanceof DirectoryError) {
    const code: CloseReason = cause.code === 'unavailable' ? 'internal' : cause.code
    return new RelayError(code, cause.message, { cause: cause.cause ?? cause })
  }
  return new RelayError('internal', 'a fault of the relay', { cause })
}
