/**
 * The relay itself, without sockets: its public face and what its parts have in common. The rim
 * (listen.ts) gives it pipes; tests and the simulator give it theirs. Who gets in: admission.ts.
 * Who is at home: residents.ts. Whom an OPEN asks for: asks.ts. Which labels belong together:
 * joining.ts. What the directory knows of it: lease-keeper.ts.
 */
import type { DirectoryChange } from '../directory/directory.ts'
import type { Pipe } from '../pipe/pipe.ts'
import type { Clock, Timer } from '../time/clock.ts'
import {
  decodeOpen,
  decodeResume,
  decodeRetire,
  decodeWatch,
  encodeGone,
  type Watch,
} from '../wire/control.ts'
import { RelayError, violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import { Admission } from './admission.ts'
import { Answers } from './answers.ts'
import { Asks } from './asks.ts'
import { BurstLog } from './burst-log.ts'
import { Joining } from './joining.ts'
import { askToGo, LEAVING, LeaseKeeper } from './lease-keeper.ts'
import type { RelayLimits } from './limits.ts'
import { LOOKUP_COST } from './lookups.ts'
import type { RelayMetrics } from './metrics.ts'
import { NodeContext, type NodeState, type RelayNodeOptions } from './node-context.ts'
import { Placement } from './placement.ts'
import { Queues } from './queues.ts'
import { type Attached, type LinkHost, RelayLink } from './relay-link.ts'
import { peersOf, Residents } from './residents.ts'
import { Retirements } from './retirements.ts'
import type { RouteEnd } from './route.ts'

export type { Identity, NodeState, RelayLog, RelayNodeOptions } from './node-context.ts'

/** How often queues are looked at and leases renewed, ms. */
const HOUSEKEEPING_MS = 500
/**
 * As many control frames as one RETIRE counts for on top: it is remembered for minutes, and told to the directory. A
 * driver says up to 4,096 of them to each new home (home.ts), beside all its RESUMEs: that must fit into a burst.
 */
const RETIRE_COST = 9
/** How often the directory is asked again for addresses that OPENs wait for, ms: a hint may be lost. */
const ASK_AGAIN_MS = 1_000

export class RelayNode implements LinkHost {
  readonly clock: Clock
  readonly limits: RelayLimits
  readonly metrics: RelayMetrics
  readonly #context: NodeContext
  readonly #refusalLog: BurstLog
  readonly #visitLog: BurstLog
  readonly #placement: Placement
  readonly #retirements: Retirements
  readonly #joining: Joining
  readonly #residents: Residents
  readonly #asks: Asks
  readonly #leases: LeaseKeeper
  readonly #admission: Admission
  readonly #queues: Queues
  #housekeeping: Timer
  readonly #unsubscribe: () => void
  #askedAgainMs = 0
  #batchDepth = 0
  #corked: RelayLink[] = []

  constructor(options: RelayNodeOptions) {
    this.clock = options.clock
    this.limits = options.limits
    this.metrics = options.metrics
    const context = new NodeContext(options)
    const answers = new Answers(options.metrics)
    this.#context = context
    this.#refusalLog = new BurstLog(
      options.log,
      options.clock,
      'more links were refused, too many for a line each',
    )
    this.#visitLog = new BurstLog(options.log, options.clock, 'more visits ended, too many for a line each')
    this.#placement = new Placement(options.node, options.random ?? Math.random)
    this.#retirements = new Retirements(options.clock)
    this.#joining = new Joining(options.metrics, answers)
    this.#residents = new Residents(context, answers, this.#joining, this.#retirements)
    this.#asks = new Asks(context, answers, this.#joining, this.#residents, this.#retirements)
    this.#leases = new LeaseKeeper(context, this.#residents, this.#retirements)
    this.#admission = new Admission(
      context,
      this.#residents,
      this.#leases,
      this.#placement,
      this.#retirements,
    )
    this.#queues = new Queues(context)
    this.#housekeeping = this.clock.after(HOUSEKEEPING_MS, () => this.#houseKeep())
    this.#unsubscribe = options.directory.subscribe((change) => this.#handleChange(change))
    this.#leases.announce()
  }

  get state(): NodeState {
    return this.#context.state
  }
  /** Can it take a new endpoint now. */
  get isReady(): boolean {
    return this.#context.state === 'serving' && this.#context.directory.isReachable
  }
  get linkCount(): number {
    return this.#context.links.size
  }
  /** Labels that are open, parked ones included, and addresses known: all zero when nothing is left. */
  get tableSizes(): { links: number; labels: number; residences: number; parked: number } {
    let labels = 0
    let parked = 0
    for (const link of this.#context.links) labels += link.ends.size
    for (const residence of this.#residents.all()) parked += residence.parked.size
    return { links: this.#context.links.size, labels, residences: this.#residents.size, parked }
  }

  /** Takes a connection whose preamble was read. `remote`: for logs. */
  accept(pipe: Pipe, remote: string): void {
    const link = new RelayLink(this, pipe, remote)
    this.#context.links.add(link)
    if (this.#context.state === 'over') link.close(new RelayError('draining', 'this relay is gone'))
  }

  /** Sets the gauges that are sums; before a scrape. */
  sampleGauges(): void {
    const { queuedBytes, missing } = this.metrics
    queuedBytes.urgent = 0
    queuedBytes.bulk = 0
    missing.urgent = 0
    missing.bulk = 0
    for (const link of this.#context.links)
      if (link.isUp) queuedBytes[link.who.class] += link.pipe.queuedBytes
    for (const residence of this.#residents.all())
      if (residence.state.is === 'missing' && residence.state.lease?.node === this.#context.node)
        missing[residence.class] += 1
  }

  /** Asks all endpoints to move; settles when none is left, or after `drainMs`. */
  async drain(): Promise<void> {
    if (this.#context.state !== 'serving') return
    this.#context.beginDraining()
    this.#leases.announce()
    for (const link of [...this.#context.links]) {
      if (link.isUp) askToGo(this.metrics, link, 'draining', this.#context.drainLeftMs, LEAVING)
    }
    while (this.#isNeeded && this.#context.drainLeftMs > 0) {
      await new Promise<void>((resolve) => this.clock.after(50, resolve))
    }
    this.close()
  }

  /** Somebody is at home here, or has a stream here. Idle visitors do not count. */
  get #isNeeded(): boolean {
    for (const residence of this.#residents.all()) if (residence.state.is === 'attached') return true
    for (const link of this.#context.links) if (link.ends.size > 0) return true
    return false
  }

  /** Tells the other relays where this one is and how much room it has. */
  announce(): void {
    this.#leases.announce()
  }

  /** Ends at once. */
  close(): void {
    this.#context.state = 'over'
    this.#housekeeping.cancel()
    this.#unsubscribe()
    for (const link of [...this.#context.links]) link.close(new RelayError('draining', 'this relay is gone'))
    this.#residents.clear()
    this.#refusalLog.close()
    this.#visitLog.close()
  }

  // ---- batches: what one read causes leaves each link in one system call ----

  beginBatch(): void {
    this.#batchDepth += 1
  }

  corkForBatch(link: RelayLink): void {
    if (this.#batchDepth === 0 || link.isCorked) return
    link.isCorked = true
    link.pipe.cork()
    this.#corked.push(link)
  }

  endBatch(): void {
    this.#batchDepth -= 1
    if (this.#batchDepth > 0) return
    const corked = this.#corked
    for (let i = 0; i < corked.length; i++) {
      const link = corked[i] as RelayLink
      link.isCorked = false
      link.pipe.uncork()
    }
    corked.length = 0
  }

  reportFault(error: unknown): void {
    this.#context.reportFault(error)
  }

  // ---- for the links ----

  get queueCapBytes(): number {
    return this.#queues.capBytes
  }
  closeOverlong(link: RelayLink): void {
    this.#queues.closeOverlong(link)
  }
  handleHello(link: RelayLink, payload: Buffer): void {
    this.#admission.handleHello(link, payload)
  }
  cancelAsk(end: RouteEnd): void {
    this.#asks.cancelAsk(end)
  }
  endRoute(a: RouteEnd, b: RouteEnd): void {
    this.#joining.endRoute(a, b)
  }
  goodbye(link: RelayLink): void {
    link.close(new RelayError('goodbye', 'goodbye'))
  }

  handleControl(link: RelayLink, type: number, label: number, offset: number, payload: Buffer): void {
    switch (type) {
      case FrameType.open: {
        const { to, port, id } = decodeOpen(payload)
        this.metrics.opens[link.who.class] += 1
        return this.#asks.ask([link.takeLabel(label, { is: 'open', to, port, id, limit: offset })])
      }
      case FrameType.resume: {
        const { peer, incarnation, entries } = decodeResume(payload)
        link.spendControl(entries.length)
        return this.#asks.ask(
          entries.map(({ label: own, ...entry }) =>
            link.takeLabel(own, { is: 'resume', to: peer, incarnation, ...entry }),
          ),
        )
      }
      case FrameType.opened:
        return this.#joining.handleOpened(link, label, offset, payload)
      case FrameType.resumed:
        return this.#joining.handleResumed(link, payload)
      case FrameType.watch:
        return this.#handleWatch(link, decodeWatch(payload).peers)
      case FrameType.retire: {
        if (link.who.role !== 'driver')
          throw new RelayError('forbidden', 'only the driver may retire an address')
        const { address, generation } = decodeRetire(payload)
        link.spendControl(RETIRE_COST)
        return this.#retire(link.who.app, address, generation)
      }
      default:
        throw violation(`frame 0x${type.toString(16)} from an endpoint`)
    }
  }

  #handleWatch(link: RelayLink, peers: Watch['peers']): void {
    link.spendControl(peers.length)
    for (const { address, incarnation } of peers) {
      // What became of its heir, the directory is asked.
      if (this.#retirements.has(link.who.app, address)) link.spendControl(LOOKUP_COST)
      this.#residents.watch(link, address, incarnation)
    }
  }

  #retire(app: string, address: string, generation: number): void {
    this.#residents.retire(app, address, generation, 'driver')
    this.#leases.tellRetired()
  }

  /** Called by a link that was sent elsewhere before it was up. */
  linkLeft(link: RelayLink): void {
    this.#context.links.delete(link)
  }

  /** Called by the link, once. `who` undefined: it never got through its handshake. */
  linkLost(link: RelayLink, who: Attached | undefined, error: RelayError): void {
    this.#context.links.delete(link)
    if (who === undefined) {
      this.#context.metrics.refusals[error.code] += 1
      this.#refusalLog.warn(error.code, { remote: link.remote, ...toldOf(error) }, 'link refused')
      return
    }
    this.#context.metrics.closes[error.code] += 1
    this.#context.metrics.links[who.class][who.mode === 'attach' ? 'attached' : 'visiting'] -= 1
    if (who.mode === 'visit') this.#context.visitors.remove(link, who)
    this.#tellClosed(who, error)
    for (const known of link.watched ?? []) known.unwatch(link)
    const residence = this.#residents.get(who.app, who.address, who.class)
    const home = residence?.state.is === 'attached' && residence.state.link === link ? residence : undefined
    const peers = peersOf(link)
    if (error.code === 'goodbye' || (error.code === 'retired' && home !== undefined)) {
      // GONE goes first: by ROUTE_DOWN alone openers resume, and whom they ask for is waited for.
      if (home !== undefined) this.#residents.giveUp(home, error.code, peers)
      else if (residence?.state.lease?.incarnation !== who.incarnation)
        for (const peer of peers)
          peer.send(encodeGone({ address: who.address, incarnation: who.incarnation }))
      this.#residents.cutRoutes(link, who)
      return
    }
    this.#residents.cutRoutes(link, who)
    if (home !== undefined) this.#residents.miss(home, peers)
    // A visitor, or a link that was replaced: its peers hear of its end from whoever knows.
    else if (this.#context.state !== 'over')
      for (const peer of peers) if (peer.isUp) this.#residents.watch(peer, who.address, who.incarnation)
  }

  #tellClosed({ app, address, class: trafficClass, mode }: Attached, error: RelayError): void {
    const fields = { app, address, class: trafficClass, ...toldOf(error) }
    const level = error.code === 'goodbye' || error.code === 'superseded' ? 'info' : 'warn'
    // Visits cost their owner nothing, so he decides how many end; those who attach need a lease.
    if (mode === 'attach') this.#context.log[level](fields, 'link closed')
    else if (level === 'warn') this.#visitLog.warn(error.code, fields, 'link closed')
  }

  /** A hint of the directory's: whoever waits here for an address that attached elsewhere is sent there. */
  #handleChange(change: DirectoryChange): void {
    if (change.is === 'retired')
      return this.#residents.retire(change.app, change.address, change.generation, 'directory')
    if (change.is === 'returned') return this.#leases.returned()
    if (change.is !== 'claimed') return
    const { app, address, class: trafficClass } = change.key
    this.#retirements.forgetBelow(app, address, change.lease.generation)
    if (change.lease.node === this.#context.node) return
    const residence = this.#residents.get(app, address, trafficClass)
    if (residence === undefined) return
    if ((residence.state.lease?.epoch ?? 0) > change.lease.epoch) return // a hint that came late
    if (residence.state.is === 'missing') {
      residence.state.grace.cancel()
      this.#residents.atHomeElsewhere(residence, change.lease)
    } else this.#residents.movedAway(residence, change.lease)
  }

  #houseKeep(): void {
    this.#housekeeping = this.clock.after(HOUSEKEEPING_MS, () => this.#houseKeep())
    const now = this.clock.now()
    this.#queues.check()
    if (this.#leases.isAnnounceDue) {
      this.#placement.tick()
      this.#leases.announce()
    }
    this.#leases.watch(now)
    if (now - this.#askedAgainMs >= ASK_AGAIN_MS) {
      this.#askedAgainMs = now
      this.#asks.askAgain()
    }
    this.#retirements.sweep()
    this.#residents.sweepWatches()
    this.#leases.tellRetired()
    this.#leases.renewDue()
  }
}

/** For the log: the sentence that the peer is told, and its cause, which it is not. */
function toldOf({ code, message, cause }: RelayError): object {
  return { reason: code, detail: message, ...(cause instanceof Error ? { cause: cause.message } : {}) }
}
