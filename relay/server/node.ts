/**
 * The relay itself, without sockets: who is attached, which labels belong together, and what
 * happens when a link, an address or the relay goes. The rim (listen.ts) gives it pipes; tests
 * and the simulator give it theirs.
 */
import type { Directory, DirectoryChange, Lease, LeaseKey, NodeRecord } from '../directory/directory.ts'
import { DirectoryError } from '../directory/directory.ts'
import type { Pipe } from '../pipe/pipe.ts'
import type { Clock, Timer } from '../time/clock.ts'
import { Pulse } from '../time/pulse.ts'
import {
  decodeHello,
  decodeOpen,
  decodeOpened,
  decodeResume,
  decodeResumed,
  decodeRetire,
  decodeWatch,
  encodeControl,
  encodeGone,
  encodeMoved,
  encodeResume,
  encodeResumed,
  encodeRouteDown,
  encodeSignal,
  encodeText,
  encodeWelcome,
  type Hello,
  MAX_BATCH,
  type ResumedEntry,
  type ResumeEntry,
  type TrafficClass,
  type Watch,
} from '../wire/control.ts'
import { type CloseReason, RelayError, type ResetReason, resetReasons, violation } from '../wire/errors.ts'
import { FrameType, VERSION_MAX, VERSION_MIN } from '../wire/header.ts'
import type { RelayLimits } from './limits.ts'
import type { GoAwayReason, PlacementReason, RelayMetrics } from './metrics.ts'
import { Placement } from './placement.ts'
import { type Attached, RelayLink } from './relay-link.ts'
import { Residence, type ResidenceState } from './residence.ts'
import { type Ask, join, type RouteEnd } from './route.ts'

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

/** How often queues are looked at and leases renewed, ms. */
const HOUSEKEEPING_MS = 500
/** How often a relay tells the others of itself, ms; and how long they believe it. */
const ANNOUNCE_MS = 1_000
const RECORD_MS = 3_500
/** Between telling where an address has moved and taking the old way down, ms: a dial and a handshake. */
const PARTING_MS = 300
/**
 * Relays see at different moments that a directory is back: for so long, ms, nobody is taken away
 * from a home that still serves it.
 */
const SETTLING_MS = 3_000
/** How often the directory is asked again for addresses that OPENs wait for, ms: a hint may be lost. */
const ASK_AGAIN_MS = 1_000
/** One that is at home elsewhere and watched from here is looked at this often, ms … */
const LOOK_AGAIN_MS = 1_000
/** … and so many times: longer than a dead one's lease lives. */
const MAX_LOOKS = 45
/** Addresses without a link that are waited for, at most. */
const MAX_EXPECTED = 65_536
/** A retired generation is remembered here this long, so that its peers hear `gone` and not `unknown`, ms. */
const REMEMBER_RETIRED_MS = 600_000

export class RelayNode {
  readonly clock: Clock
  readonly limits: RelayLimits
  readonly metrics: RelayMetrics
  readonly #options: RelayNodeOptions
  readonly #links = new Set<RelayLink>()
  readonly #residences = new Map<string, Residence>()
  readonly #retired = new Map<string, { app: string; address: string; generation: number; atMs: number }>()
  readonly #startedMs: number
  #state: NodeState = 'serving'
  #housekeeping: Timer
  readonly #unsubscribe: () => void
  #lastRenewalMs = 0
  readonly #placement: Placement
  #announcedMs = 0
  /** Endpoints that stay here, while the directory is asked for their leases: load that is coming. */
  #admitting = 0
  #forwardedAtAnnounce = 0
  #bytesPerSecond = 0
  #askedAgainMs = 0
  /** When the directory last answered, and whether endpoints were asked to move since. */
  #directoryMs: number
  #isCutOff = false
  #returnedMs = Number.NEGATIVE_INFINITY
  /** Links whose endpoint has another home by now, and whose routes are about to go. */
  readonly #parting = new Set<RelayLink>()
  #batchDepth = 0
  #corked: RelayLink[] = []

  constructor(options: RelayNodeOptions) {
    this.#options = options
    this.clock = options.clock
    this.limits = options.limits
    this.metrics = options.metrics
    this.#startedMs = this.clock.now()
    this.#directoryMs = this.#startedMs
    this.#placement = new Placement(options.node, options.random ?? Math.random)
    this.#housekeeping = this.clock.after(HOUSEKEEPING_MS, () => this.#houseKeep())
    this.#unsubscribe = options.directory.subscribe((change) => this.#handleChange(change))
    this.announce()
  }

  get state(): NodeState {
    return this.#state
  }
  /** Can it take a new endpoint now. */
  get isReady(): boolean {
    return this.#state === 'serving' && this.#options.directory.isReachable
  }
  get linkCount(): number {
    return this.#links.size
  }
  /** Labels that are open, parked ones included, and addresses known: all zero when nothing is left. */
  get tableSizes(): { links: number; labels: number; residences: number; parked: number } {
    let labels = 0
    let parked = 0
    for (const link of this.#links) labels += link.ends.size
    for (const residence of this.#residences.values()) parked += residence.parked.size
    return { links: this.#links.size, labels, residences: this.#residences.size, parked }
  }

  /** Takes a connection whose preamble was read. `remote`: for logs. */
  accept(pipe: Pipe, remote: string): void {
    const link = new RelayLink(this, pipe, remote)
    this.#links.add(link)
    if (this.#state === 'over') link.close(new RelayError('draining', 'this relay is gone'))
  }

  /** Sets the gauges that are sums; before a scrape. */
  sampleGauges(): void {
    const { queuedBytes, missing } = this.metrics
    queuedBytes.urgent = 0
    queuedBytes.bulk = 0
    missing.urgent = 0
    missing.bulk = 0
    for (const link of this.#links) if (link.isUp) queuedBytes[link.who.class] += link.pipe.queuedBytes
    for (const residence of this.#residences.values())
      if (residence.state.is === 'missing' && residence.state.lease?.node === this.#options.node)
        missing[residence.class] += 1
  }

  /** Asks all endpoints to move; settles when none is left, or after `drainMs`. */
  async drain(): Promise<void> {
    if (this.#state !== 'serving') return
    this.#state = 'draining'
    this.announce()
    for (const link of [...this.#links]) {
      if (link.isUp) this.#askToGo(link, 'draining', this.limits.drainMs, 'this relay is leaving')
    }
    const deadline = this.clock.now() + this.limits.drainMs
    while (this.#isNeeded && this.clock.now() < deadline) {
      await new Promise<void>((resolve) => this.clock.after(50, resolve))
    }
    this.close()
  }

  /** Somebody is at home here, or has a stream here. Idle visitors do not count. */
  get #isNeeded(): boolean {
    for (const residence of this.#residences.values()) if (residence.state.is === 'attached') return true
    for (const link of this.#links) if (link.ends.size > 0) return true
    return false
  }

  #askToGo(link: RelayLink, why: GoAwayReason, leftMs: number, sentence: string): void {
    this.metrics.goAways[why] += 1
    link.send(encodeText(FrameType.goAway, leftMs, sentence))
  }

  /** Tells the other relays where this one is and how much room it has. */
  announce(): void {
    const now = this.clock.now()
    const { urgent, bulk } = this.metrics.forwardedBytes
    const seconds = (now - this.#announcedMs) / 1_000
    if (seconds > 0) this.#bytesPerSecond = Math.max(0, (urgent + bulk - this.#forwardedAtAnnounce) / seconds)
    this.#forwardedAtAnnounce = urgent + bulk
    this.#announcedMs = now
    const { node, urls } = this.#options
    if (urls.length === 0) return
    const record: NodeRecord = {
      node,
      urls,
      classes: this.#classes,
      links: this.#attachedLinks,
      bytesPerSecond: Math.round(this.#bytesPerSecond),
      isLeaving: this.#state !== 'serving',
    }
    this.#options.directory.announce(record, RECORD_MS)
  }

  get #classes(): readonly TrafficClass[] {
    return this.#options.classes ?? ['urgent', 'bulk']
  }
  get #attachedLinks(): number {
    const { urgent, bulk } = this.metrics.links
    return urgent.attached + bulk.attached
  }

  /** Ends at once. */
  close(): void {
    this.#state = 'over'
    this.#housekeeping.cancel()
    this.#unsubscribe()
    for (const link of [...this.#links]) link.close(new RelayError('draining', 'this relay is gone'))
    for (const residence of this.#residences.values()) {
      if (residence.state.is === 'missing') residence.state.grace.cancel()
    }
    this.#residences.clear()
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
    this.#options.log.error({ err: error }, 'a fault of the relay closed a link')
  }

  // ---- handshake ----

  handleHello(link: RelayLink, payload: Buffer): void {
    const hello = decodeHello(payload)
    const version = Math.min(VERSION_MAX, hello.versions[1])
    if (version < Math.max(VERSION_MIN, hello.versions[0])) {
      throw new RelayError(
        'version',
        `speaks ${VERSION_MIN} to ${VERSION_MAX}, was offered ${hello.versions.join(' to ')}`,
      )
    }
    this.#admit(link, hello, version).catch((cause: unknown) => {
      link.close(asRelayError(cause))
      if (cause instanceof DirectoryError) {
        if (cause.code === 'unavailable') this.metrics.directoryFailures += 1
      } else if (!(cause instanceof RelayError)) this.reportFault(cause)
    })
  }

  async #admit(link: RelayLink, hello: Hello, version: number): Promise<void> {
    const identity = await this.#options.verify(hello.token, hello)
    const who: Attached = {
      ...identity,
      class: hello.class,
      mode: hello.mode,
      incarnation: hello.incarnation,
      counter: hello.counter,
    }
    if (link.state.is !== 'verifying') return
    if (hello.hasHome === true && this.clock.now() - this.#returnedMs < SETTLING_MS)
      throw new RelayError('internal', 'the directory is just back: stay for now')
    if (hello.mode === 'attach' && this.#place(link, who, hello.placed === true)) return
    if (this.#state !== 'serving') throw new RelayError('draining', 'this relay is leaving')
    if (this.#upLinks() >= this.limits.maxLinks)
      throw new RelayError('overloaded', `over ${this.limits.maxLinks} links`)
    let lease: Lease | undefined
    if (hello.mode === 'attach') {
      this.#admitting += 1
      const claiming = this.#options.directory.claim(
        { app: who.app, address: who.address, class: who.class },
        {
          node: this.#options.node,
          urls: this.#options.urls,
          generation: who.generation,
          incarnation: who.incarnation,
          counter: who.counter,
        },
        this.limits.leaseMs,
      )
      lease = await claiming.finally(() => {
        this.#admitting -= 1
      })
    }
    if (link.state.is !== 'verifying') {
      // It left while the directory was asked: its lease must not outlive it.
      if (lease !== undefined) await this.#options.directory.release(keyOfWho(who), lease.epoch)
      return
    }
    if (lease !== undefined && this.#isSuperseded(lease, keyOfWho(who)))
      throw new RelayError('superseded', `${who.address} has a newer link`)
    link.state.timer.cancel()
    const { keepaliveMs, silenceMs, graceMs, linkQueueBytes, maxStreams } = this.limits
    const pulse = new Pulse(this.clock, keepaliveMs, silenceMs, {
      keepalive: () => link.send(encodeSignal(FrameType.ping, 0, 0)),
      silent: () => link.close(new RelayError('silent', `nothing came for ${silenceMs} ms`)),
    })
    link.becomeUp(who, pulse)
    link.pipe.established?.(who.class)
    this.metrics.handshakes[who.class] += 1
    this.metrics.links[who.class][who.mode === 'attach' ? 'attached' : 'visiting'] += 1
    link.send(
      encodeWelcome({
        version,
        node: this.#options.node,
        maxQueuedBytes: linkQueueBytes,
        maxStreams,
        keepaliveMs,
        silenceMs,
        graceMs,
      }),
    )
    if (lease !== undefined) this.#settle(link, who, lease)
  }

  /** Sends an endpoint that wants to attach to a relay that is better for it. False: it stays. */
  #place(link: RelayLink, who: Attached, isPlaced: boolean): boolean {
    const why = this.#whyElsewhere(who.class)
    if (isPlaced && (why === 'load' || why === 'class')) return false
    const own = {
      links: this.#attachedLinks + this.#admitting,
      bytesPerSecond: this.#bytesPerSecond,
      takes: why === 'load',
    }
    const other = this.#placement.choose(who.class, own, this.#options.directory.nodes())
    if (other === undefined) return false
    this.metrics.placements[why] += 1
    const { node, urls } = other
    link.leaveBy(encodeMoved({ to: who.address, node, urls, epoch: 0, labels: [] }))
    return true
  }

  #whyElsewhere(trafficClass: TrafficClass): PlacementReason {
    if (this.#state !== 'serving') return 'draining'
    if (this.#upLinks() >= this.limits.maxLinks) return 'full'
    return this.#classes.includes(trafficClass) ? 'load' : 'class'
  }

  /** Two claims of one address were under way, and the newer was answered first. */
  #isSuperseded(lease: Lease, { app, address, class: trafficClass }: LeaseKey): boolean {
    const known = this.#residences.get(residenceKey(app, address, trafficClass))?.state.lease
    return known !== undefined && known.epoch > lease.epoch
  }

  /** `link` is home now: the old link gives way, those who waited are joined, those who watched another incarnation are told. */
  #settle(link: RelayLink, who: Attached, lease: Lease): void {
    const key = residenceKey(who.app, who.address, who.class)
    let residence = this.#residences.get(key)
    const state = { is: 'attached', link, lease } as const
    if (residence === undefined) {
      residence = new Residence(who.app, who.address, who.class, state)
      this.#residences.set(key, residence)
    } else {
      const before = residence.state
      if (before.is === 'missing') before.grace.cancel()
      residence.state = state
      if (before.is === 'attached') {
        if (before.lease.incarnation !== who.incarnation) this.metrics.gone.superseded += 1
        before.link.close(new RelayError('superseded', `${who.address} has a newer link`))
      }
    }
    for (const [watcher, incarnations] of residence.watchers) {
      for (const incarnation of incarnations) {
        if (incarnation !== who.incarnation) watcher.send(encodeGone({ address: who.address, incarnation }))
      }
    }
    residence.watchers.clear()
    this.#options.log.info(
      { app: who.app, address: who.address, class: who.class, epoch: lease.epoch },
      'attached',
    )
    const parked = [...residence.parked]
    residence.parked.clear()
    this.metrics.parkedOpens -= parked.length
    this.#joinAll(parked, residence)
  }

  // ---- frames that are the node's business ----

  handleControl(link: RelayLink, type: number, label: number, offset: number, payload: Buffer): void {
    switch (type) {
      case FrameType.open: {
        const { to, port, id } = decodeOpen(payload)
        this.metrics.opens[link.who.class] += 1
        return this.#ask([link.takeLabel(label, { is: 'open', to, port, id, limit: offset })])
      }
      case FrameType.resume: {
        const { peer, incarnation, entries } = decodeResume(payload)
        link.spendControl(entries.length)
        return this.#ask(
          entries.map(({ label: own, ...entry }) =>
            link.takeLabel(own, { is: 'resume', to: peer, incarnation, ...entry }),
          ),
        )
      }
      case FrameType.opened:
        return this.#handleOpened(link, label, offset, payload)
      case FrameType.resumed:
        return this.#handleResumed(link, payload)
      case FrameType.watch:
        return this.#handleWatch(link, decodeWatch(payload).peers)
      case FrameType.retire: {
        if (link.who.role !== 'driver')
          throw new RelayError('forbidden', 'only the driver may retire an address')
        const { address, generation } = decodeRetire(payload)
        return this.#retire(link.who.app, address, generation)
      }
      default:
        throw violation(`frame 0x${type.toString(16)} from an endpoint`)
    }
  }

  #handleWatch(link: RelayLink, peers: Watch['peers']): void {
    link.spendControl(peers.length)
    for (const { address, incarnation } of peers) this.#watch(link, address, incarnation)
  }

  /** All of `ends` are of one link and ask for one address. */
  #ask(ends: readonly RouteEnd[]): void {
    const [first] = ends
    if (first?.ask === undefined) return
    const { link } = first
    const { app, class: trafficClass } = link.who
    const { to } = first.ask
    if (link.ends.size > this.limits.maxStreams || this.#expectsTooMany)
      return this.#refuseAll(ends, 'overloaded')
    const residence = this.#residences.get(residenceKey(app, to, trafficClass))
    if (residence?.state.is === 'attached') return this.#joinAll(ends, residence)
    // Missing here, it may be at home elsewhere by now: the directory knows before grace is over.
    this.#lookUp({ app, address: to, class: trafficClass }, ends)
  }

  /** Not at home here: somewhere else, not back yet, or nowhere. */
  #lookUp(key: LeaseKey, ends: readonly RouteEnd[]): void {
    // Who resumes has lost something a moment ago: an answer of some seconds ago would not do.
    const age = ends[0]?.ask?.is === 'open' ? 'cached' : 'fresh'
    this.#options.directory.lookup(key, age).then(
      (lease) => {
        const waiting = ends.filter((end) => end.ask !== undefined && end.link.isUp)
        if (waiting.length === 0) return
        const residence = this.#residences.get(residenceKey(key.app, key.address, key.class))
        if (residence?.state.is === 'attached') return this.#joinAll(waiting, residence)
        if (lease !== undefined && lease.node !== this.#options.node && this.#lives(lease.node))
          return this.#redirect(key.address, waiting, lease)
        if (residence !== undefined) return this.#park(residence, waiting)
        if (lease === undefined && this.#retired.has(addressKey(key.app, key.address)))
          return this.#refuseAll(waiting, 'gone')
        if (lease !== undefined || this.#mayStillCome()) return this.#park(this.#expect(key, ''), waiting)
        this.#refuseAll(waiting, 'unknown')
      },
      () => {
        // Nothing is known, so nothing is refused: it waits as if the address were in grace.
        this.metrics.directoryFailures += 1
        const waiting = ends.filter((end) => end.ask !== undefined && end.link.isUp)
        const staying = this.#sendHome(key.address, waiting)
        if (staying.length > 0) this.#park(this.#expect(key, ''), staying)
      },
    )
  }

  /**
   * The directory cannot be asked here. Visitors have a home that may know more: they are sent
   * there, by a MOVED that names no place. Answers those who have only us.
   */
  #sendHome(to: string, ends: readonly RouteEnd[]): RouteEnd[] {
    const visitors = ends.filter((end) => end.link.who.mode === 'visit')
    this.#redirect(to, visitors, { node: this.#options.node, urls: [], epoch: 0 })
    return ends.filter((end) => end.link.who.mode === 'attach')
  }

  /**
   * Whether a relay tells of itself. The home of an address that fell silent is not worth a dial:
   * the address is on its way to another. When nobody is heard, that says nothing.
   */
  #lives(node: string): boolean {
    const records = this.#options.directory.nodes()
    const others = records.filter((record) => record.node !== this.#options.node)
    return others.length === 0 || others.some((record) => record.node === node)
  }

  /** Hints may be lost: whoever is waited for is looked up again. */
  #askAgain(): void {
    for (const residence of this.#residences.values()) {
      if (residence.state.is !== 'missing' || residence.parked.size === 0) continue
      const { state } = residence
      const key = { app: residence.app, address: residence.address, class: residence.class }
      this.#options.directory.lookup(key).then(
        (lease) => {
          if (!this.#isStill(residence, state)) return
          if (lease === undefined || lease.node === this.#options.node) return
          if (!this.#lives(lease.node)) return
          state.grace.cancel()
          this.#atHomeElsewhere(residence, lease)
        },
        () => {
          this.metrics.directoryFailures += 1
          if (!this.#isStill(residence, state)) return
          const waiting = [...residence.parked]
          const staying = new Set(this.#sendHome(residence.address, waiting))
          for (const end of waiting) {
            if (!staying.has(end) && residence.parked.delete(end)) this.metrics.parkedOpens -= 1
          }
        },
      )
    }
  }

  /** Grace counts from our own readiness and from the directory's: whoever was home may be on its way back. */
  #mayStillCome(): boolean {
    const since = Math.max(this.#startedMs, this.#options.directory.emptySinceMs)
    return this.clock.now() - since < this.limits.graceMs
  }

  /** Asking for addresses that nobody has costs memory for the time of grace. */
  get #expectsTooMany(): boolean {
    return this.#residences.size > this.limits.maxLinks + MAX_EXPECTED
  }

  /** A residence for an address that is not here, with its grace running. */
  #expect(key: LeaseKey, incarnation: string): Residence {
    const name = residenceKey(key.app, key.address, key.class)
    const known = this.#residences.get(name)
    if (known !== undefined) return known
    const residence = new Residence(key.app, key.address, key.class, {
      is: 'missing',
      incarnation,
      generation: -1,
      lease: undefined,
      grace: this.clock.after(this.limits.graceMs, () => this.#graceOver(residence)),
    })
    this.#residences.set(name, residence)
    return residence
  }

  #park(residence: Residence, ends: readonly RouteEnd[]): void {
    for (const end of ends) residence.parked.add(end)
    this.metrics.parkedOpens += ends.length
  }

  /** The endpoint reset a stream that was still waiting. */
  cancelAsk(end: RouteEnd): void {
    if (end.ask === undefined) return
    const { app, class: trafficClass } = end.link.who
    this.#unpark(end, app, trafficClass)
    end.link.closeEnd(end)
  }

  #unpark(end: RouteEnd, app: string, trafficClass: TrafficClass): void {
    if (end.ask === undefined) return
    const residence = this.#residences.get(residenceKey(app, end.ask.to, trafficClass))
    if (residence?.parked.delete(end)) this.metrics.parkedOpens -= 1
    end.ask = undefined
  }

  #refuseAll(ends: readonly RouteEnd[], reason: ResetReason): void {
    for (const end of ends) {
      end.ask = undefined
      end.link.closeEnd(end)
      this.metrics.resets[reason] += 1
      end.link.send(encodeSignal(FrameType.reset, end.label, resetReasons[reason]))
    }
  }

  #redirect(to: string, ends: readonly RouteEnd[], lease: Pick<Lease, 'node' | 'urls' | 'epoch'>): void {
    const byLink = groupBy(ends, (end) => end.link)
    for (const [link, group] of byLink) {
      for (const end of group) {
        end.ask = undefined
        link.closeEnd(end)
      }
      this.#pointTo(link, to, group, lease)
    }
  }

  // ---- joining ----

  #joinAll(ends: readonly RouteEnd[], residence: Residence): void {
    if (residence.state.is !== 'attached') return
    const { link: target, lease } = residence.state
    const resumes = new Map<RelayLink, [RouteEnd, Extract<Ask, { is: 'resume' }>][]>()
    for (const end of ends) {
      const { ask } = end
      if (ask === undefined || !end.link.isUp) continue
      if (!target.canOpen) {
        this.#refuseAll([end], 'overloaded')
      } else if (ask.is === 'open') {
        this.#joinOpen(end, ask, target)
      } else if (ask.incarnation !== '' && ask.incarnation !== lease.incarnation) {
        this.#refuseAll([end], 'lost') // another process has the address now: it never had this stream
      } else {
        const group = resumes.get(end.link)
        if (group === undefined) resumes.set(end.link, [[end, ask]])
        else group.push([end, ask])
      }
    }
    for (const [link, group] of resumes)
      for (const batch of batches(group)) this.#joinResumes(link, batch, target)
  }

  #joinOpen(end: RouteEnd, ask: Extract<Ask, { is: 'open' }>, target: RelayLink): void {
    const { address, incarnation } = end.link.who
    const far = target.giveLabel()
    join(end, far)
    far.owes = { is: 'opened', limit: ask.limit }
    this.metrics.routes[target.who.class] += 1
    const { port, id } = ask
    target.send(encodeControl(FrameType.open, far.label, ask.limit, { from: address, incarnation, port, id }))
  }

  #joinResumes(
    link: RelayLink,
    group: readonly [RouteEnd, Extract<Ask, { is: 'resume' }>][],
    target: RelayLink,
  ): void {
    const { address, incarnation } = link.who
    const entries = group.map(([end, ask]): ResumeEntry => {
      const far = target.giveLabel()
      join(end, far)
      far.owes = { is: 'resumed', limit: ask.limit, generation: ask.generation }
      this.metrics.routes[target.who.class] += 1
      const { id, generation, received, limit, port } = ask
      return { label: far.label, id, generation, received, limit, port }
    })
    target.send(encodeResume({ peer: address, incarnation, entries }))
  }

  #handleOpened(link: RelayLink, label: number, limit: number, payload: Buffer): void {
    decodeOpened(payload)
    const from = link.ends.get(label)
    if (from === undefined) return link.assertWasOpen(label) // its opener is away
    const to = from.other
    if (to === undefined || from.owes?.is !== 'opened')
      throw violation(`OPENED on label ${label}, which did not ask for it`)
    from.limit = from.owes.limit
    from.owes = undefined
    to.limit = limit
    const { incarnation } = link.who
    to.link.send(encodeControl(FrameType.opened, to.label, limit, { incarnation }))
  }

  #handleResumed(link: RelayLink, payload: Buffer): void {
    const { entries } = decodeResumed(payload)
    link.spendControl(entries.length)
    const byLink = new Map<RelayLink, ResumedEntry[]>()
    const ended: RouteEnd[] = []
    for (const entry of entries) {
      const from = link.ends.get(entry.label)
      const to = from?.other
      if (from === undefined) {
        link.assertWasOpen(entry.label) // its opener is away again
        continue
      }
      if (to === undefined || from.owes?.is !== 'resumed' || from.owes.generation !== entry.generation)
        throw violation(
          `RESUMED on label ${entry.label}, which did not ask for generation ${entry.generation}`,
        )
      this.metrics.resumes[entry.status] += 1
      from.limit = from.owes.limit
      from.owes = undefined
      if (entry.status !== 'live') ended.push(from)
      else to.limit = entry.limit
      const passed = { ...entry, label: to.label }
      const group = byLink.get(to.link)
      if (group === undefined) byLink.set(to.link, [passed])
      else group.push(passed)
    }
    const { incarnation } = link.who
    for (const [to, group] of byLink) to.send(encodeResumed({ incarnation, entries: group }))
    for (const end of ended) if (end.other !== undefined) this.endRoute(end, end.other)
  }

  /** Both labels are closed; what still comes for them drains. */
  endRoute(a: RouteEnd, b: RouteEnd): void {
    a.link.closeEnd(a)
    b.link.closeEnd(b)
    this.metrics.routes[a.link.isUp ? a.link.who.class : b.link.who.class] -= 1
  }

  // ---- loss ----

  /** Called by a link that was sent elsewhere before it was up. */
  linkLeft(link: RelayLink): void {
    this.#links.delete(link)
  }

  /** Called by the link, once. `who` undefined: it never got through its handshake. */
  linkLost(link: RelayLink, who: Attached | undefined, error: RelayError): void {
    this.#links.delete(link)
    if (who === undefined) {
      this.metrics.refusals[error.code] += 1
      this.#options.log.warn(
        { remote: link.remote, reason: error.code, detail: error.message },
        'link refused',
      )
      return
    }
    this.metrics.closes[error.code] += 1
    this.metrics.links[who.class][who.mode === 'attach' ? 'attached' : 'visiting'] -= 1
    const isClean = error.code === 'goodbye'
    this.#options.log[isClean || error.code === 'superseded' ? 'info' : 'warn'](
      { app: who.app, address: who.address, class: who.class, reason: error.code, detail: error.message },
      'link closed',
    )
    const peers = this.#cutRoutes(link, who)
    const residence = this.#residences.get(residenceKey(who.app, who.address, who.class))
    for (const known of this.#residences.values()) known.watchers.delete(link)
    if (residence?.state.is === 'attached' && residence.state.link === link) {
      if (error.code === 'retired') return this.#giveUp(residence, 'retired', peers)
      if (isClean) return this.#giveUp(residence, 'goodbye', peers)
      this.#miss(residence, peers)
      return
    }
    // A visitor, or a link that was replaced: its peers hear of its end from whoever knows.
    if (this.#state !== 'over' && !isClean) for (const peer of peers) this.#watchFor(peer, who)
    else if (isClean && residence?.state.lease?.incarnation !== who.incarnation) {
      for (const peer of peers) peer.send(encodeGone({ address: who.address, incarnation: who.incarnation }))
    }
  }

  /** Takes all routes of a link down and tells the other ends. Returns their links. */
  #cutRoutes(link: RelayLink, who: Attached): Set<RelayLink> {
    const byLink = new Map<RelayLink, number[]>()
    for (const end of link.ends.values()) {
      const { other } = end
      if (other === undefined) {
        this.#unpark(end, who.app, who.class)
        continue
      }
      other.link.closeEnd(other)
      this.metrics.routes[who.class] -= 1
      const labels = byLink.get(other.link)
      if (labels === undefined) byLink.set(other.link, [other.label])
      else labels.push(other.label)
    }
    for (const [peer, labels] of byLink) {
      for (const batch of batches(labels)) peer.send(encodeRouteDown({ labels: batch }))
    }
    return new Set(byLink.keys())
  }

  #miss(residence: Residence, peers: Iterable<RelayLink>): void {
    if (residence.state.is !== 'attached' || this.#state === 'over') return
    const { lease } = residence.state
    residence.state = {
      is: 'missing',
      incarnation: lease.incarnation,
      generation: lease.generation,
      lease,
      grace: this.clock.after(this.limits.graceMs, () => this.#graceOver(residence)),
    }
    for (const peer of peers) if (peer.isUp) residence.watch(peer, lease.incarnation)
  }

  #watch(link: RelayLink, address: string, incarnation: string): void {
    const { app, class: trafficClass } = link.who
    const residence = this.#residences.get(residenceKey(app, address, trafficClass))
    if (residence?.state.is === 'attached') {
      if (residence.state.lease.incarnation !== incarnation) link.send(encodeGone({ address, incarnation }))
      return
    }
    if (residence === undefined && this.#retired.has(addressKey(app, address))) {
      return link.send(encodeGone({ address, incarnation }))
    }
    // Who is not told in time gives its stream up by itself, later.
    if (residence === undefined && this.#expectsTooMany) return
    this.#expect({ app, address, class: trafficClass }, '').watch(link, incarnation)
  }

  #watchFor(link: RelayLink, who: Attached): void {
    if (link.isUp) this.#watch(link, who.address, who.incarnation)
  }

  /** Nothing has happened to it while the directory was asked. */
  #isStill(residence: Residence, state: ResidenceState): boolean {
    const { app, address, class: trafficClass } = residence
    return (
      residence.state === state &&
      this.#residences.get(residenceKey(app, address, trafficClass)) === residence
    )
  }

  /** Grace is over; the directory has the last word, and if it cannot be asked nobody is given up. */
  #graceOver(residence: Residence): void {
    const { state } = residence
    if (state.is !== 'missing') return
    const key = { app: residence.app, address: residence.address, class: residence.class }
    this.#options.directory.lookup(key).then(
      (lease) => {
        if (!this.#isStill(residence, state)) return // it came back while we asked, or was found elsewhere
        if (lease === undefined && this.#mayStillCome()) return this.#graceLonger(residence, state)
        if (lease === undefined) return this.#giveUp(residence, 'grace', [])
        if (lease.node !== this.#options.node) return this.#atHomeElsewhere(residence, lease)
        // A lease of ours that is not the one that was lost: it is attaching at this moment.
        if (lease.epoch !== state.lease?.epoch) return this.#graceLonger(residence, state)
        this.#options.directory.release(key, lease.epoch).catch(() => {})
        this.#giveUp(residence, 'grace', [])
      },
      () => {
        if (!this.#isStill(residence, state)) return
        this.metrics.directoryFailures += 1
        this.#graceLonger(residence, state)
      },
    )
  }

  #graceLonger(residence: Residence, state: Extract<ResidenceState, { is: 'missing' }>): void {
    residence.state = { ...state, grace: this.clock.after(1_000, () => this.#graceOver(residence)) }
  }

  /** A hint of the directory's: whoever waits here for an address that attached elsewhere is sent there. */
  #handleChange(change: DirectoryChange): void {
    if (change.is === 'retired') return this.#retireHere(change.app, change.address, change.generation)
    if (change.is === 'returned') return this.#directoryReturned()
    if (change.is !== 'claimed' || change.lease.node === this.#options.node) return
    const { app, address, class: trafficClass } = change.key
    const residence = this.#residences.get(residenceKey(app, address, trafficClass))
    if (residence === undefined) return
    if ((residence.state.lease?.epoch ?? 0) > change.lease.epoch) return // a hint that came late
    if (residence.state.is === 'missing') {
      residence.state.grace.cancel()
      this.#atHomeElsewhere(residence, change.lease)
    } else this.#movedAway(residence, change.lease)
  }

  /**
   * It has a newer home, and a link here as well. Those who opened streams to it are told where to
   * go. If we asked it to move, the old link works: they dial first, and lose the old way after.
   */
  #movedAway(residence: Residence, lease: Lease): void {
    if (residence.state.is !== 'attached') return
    const { link } = residence.state
    const cut = (): void => {
      this.#parting.delete(link)
      if (!link.isUp) return
      for (const [opener, ends] of openersTo(link)) {
        for (const end of ends) if (end.other !== undefined) this.endRoute(end, end.other)
        this.#pointTo(opener, residence.address, ends, lease)
      }
      link.close(new RelayError('superseded', `${residence.address} is at home elsewhere`))
    }
    if (this.#state === 'serving' && !this.#isCutOff) return cut()
    if (this.#parting.has(link)) return
    this.#parting.add(link)
    for (const opener of openersTo(link).keys()) this.#pointTo(opener, residence.address, [], lease)
    this.clock.after(PARTING_MS, cut)
  }

  /** MOVED for `ends`, which are closed by it; for none it is only a hint. */
  #pointTo(
    link: RelayLink,
    to: string,
    ends: readonly RouteEnd[],
    { node, urls, epoch }: Pick<Lease, 'node' | 'urls' | 'epoch'>,
  ): void {
    const labels = ends.map((end) => end.label)
    for (const batch of labels.length === 0 ? [labels] : batches(labels)) {
      this.metrics.redirects += 1
      link.send(encodeMoved({ to, node, urls, epoch, labels: batch }))
    }
  }

  #atHomeElsewhere(residence: Residence, lease: Lease): void {
    for (const [watcher, incarnations] of residence.watchers) {
      for (const incarnation of incarnations) {
        if (incarnation === lease.incarnation) continue
        incarnations.delete(incarnation)
        watcher.send(encodeGone({ address: residence.address, incarnation }))
      }
      if (incarnations.size === 0) residence.watchers.delete(watcher)
    }
    const parked = [...residence.parked]
    residence.parked.clear()
    this.metrics.parkedOpens -= parked.length
    if (residence.watchers.size === 0 || residence.looks >= MAX_LOOKS) {
      this.#residences.delete(residenceKey(residence.app, residence.address, residence.class))
    } else {
      // Whoever is watched holds that lease: it resumes in a moment, or died and its lease goes in a while.
      residence.looks += 1
      const { incarnation, generation } = lease
      const grace = this.clock.after(LOOK_AGAIN_MS, () => this.#graceOver(residence))
      residence.state = { is: 'missing', incarnation, generation, lease, grace }
    }
    this.#redirect(residence.address, parked, lease)
  }

  /** Nobody waits for this address any more. GONE travels behind what is queued for each peer. */
  #giveUp(residence: Residence, why: 'goodbye' | 'grace' | 'retired', peers: Iterable<RelayLink>): void {
    const { state, address } = residence
    this.#residences.delete(residenceKey(residence.app, address, residence.class))
    const incarnation = state.is === 'attached' ? state.lease.incarnation : state.incarnation
    if (state.is === 'missing') state.grace.cancel()
    else if (why === 'goodbye') {
      const key = { app: residence.app, address, class: residence.class }
      this.#options.directory.release(key, state.lease.epoch).catch(() => {})
    }
    for (const peer of peers) residence.watch(peer, incarnation)
    for (const [watcher, incarnations] of residence.watchers) {
      for (const each of incarnations) watcher.send(encodeGone({ address, incarnation: each }))
    }
    this.metrics.parkedOpens -= residence.parked.size
    this.#refuseAll(
      [...residence.parked],
      state.is === 'missing' && state.incarnation === '' && why === 'grace' ? 'unknown' : 'gone',
    )
    this.metrics.gone[why] += 1
    this.#options.log.info({ app: residence.app, address, class: residence.class, why }, 'gone')
  }

  goodbye(link: RelayLink): void {
    link.close(new RelayError('goodbye', 'goodbye'))
  }

  #retire(app: string, address: string, generation: number): void {
    this.#tellRetired(app, address, generation)
    this.#retireHere(app, address, generation)
  }

  #tellRetired(app: string, address: string, generation: number): void {
    this.#options.directory.retire(app, address, generation).catch(() => {
      this.metrics.directoryFailures += 1
    })
  }

  /** What a retirement means at this relay, whoever was told of it. */
  #retireHere(app: string, address: string, generation: number): void {
    const key = addressKey(app, address)
    const known = this.#retired.get(key)
    this.#retired.delete(key) // the newest is last
    this.#retired.set(key, {
      app,
      address,
      generation: Math.max(generation, known?.generation ?? 0),
      atMs: this.clock.now(),
    })
    for (const link of [...this.#links]) {
      if (!link.isUp || link.who.mode !== 'visit') continue
      const { who } = link
      if (who.app === app && who.address === address && who.generation <= generation)
        link.close(new RelayError('retired', `generation ${generation} of ${address} was retired`))
    }
    for (const trafficClass of ['urgent', 'bulk'] as const) {
      const residence = this.#residences.get(residenceKey(app, address, trafficClass))
      if (residence === undefined) continue
      if (residence.state.is === 'attached') {
        if (residence.state.lease.generation > generation) continue
        residence.state.link.close(
          new RelayError('retired', `generation ${generation} of ${address} was retired`),
        )
      } else if (residence.state.generation <= generation) this.#giveUp(residence, 'retired', [])
    }
  }

  // ---- time ----

  #houseKeep(): void {
    this.#housekeeping = this.clock.after(HOUSEKEEPING_MS, () => this.#houseKeep())
    const now = this.clock.now()
    this.#checkQueues()
    if (now - this.#announcedMs >= ANNOUNCE_MS) {
      this.#placement.tick()
      this.announce()
    }
    this.#watchDirectory(now)
    if (now - this.#askedAgainMs >= ASK_AGAIN_MS) {
      this.#askedAgainMs = now
      this.#askAgain()
    }
    for (const [key, { atMs }] of this.#retired) {
      if (now - atMs < REMEMBER_RETIRED_MS) break
      this.#retired.delete(key)
    }
    if (now - this.#lastRenewalMs < this.limits.leaseMs / 3) return
    this.#renewAll()
  }

  #renewAll(): void {
    this.#lastRenewalMs = this.clock.now()
    for (const residence of this.#residences.values()) this.#renew(residence)
  }

  /**
   * Cut off from the directory for half a lease: others will soon take our endpoints for lost, so
   * they are asked to move. They do when another relay can write their lease; when none can, they stay.
   */
  #watchDirectory(now: number): void {
    if (this.#options.directory.isReachable) {
      this.#directoryMs = now
      this.#endCutOff()
    } else if (
      !this.#isCutOff &&
      this.#state === 'serving' &&
      now - this.#directoryMs > this.limits.leaseMs / 2
    ) {
      this.#isCutOff = true
      this.#options.log.warn(
        { forMs: now - this.#directoryMs },
        'cut off from the directory: asks endpoints to move',
      )
      for (const link of this.#homeLinks())
        this.#askToGo(link, 'cut-off', this.limits.leaseMs / 2, 'this relay is cut off from its directory')
    }
  }

  #endCutOff(): void {
    if (!this.#isCutOff) return
    this.#isCutOff = false
    this.#options.log.info({}, 'the directory is back: endpoints may stay')
    if (this.#state !== 'serving') return
    for (const link of this.#homeLinks()) link.send(encodeText(FrameType.stay, 0, 'the directory is back'))
  }

  #homeLinks(): RelayLink[] {
    const links: RelayLink[] = []
    for (const { state } of this.#residences.values()) if (state.is === 'attached') links.push(state.link)
    return links
  }

  /** It may have forgotten all that it knew: what we hold is written again, at once. */
  #directoryReturned(): void {
    this.#returnedMs = this.clock.now()
    for (const { app, address, generation } of this.#retired.values())
      this.#tellRetired(app, address, generation)
    this.#renewAll()
    this.announce()
    this.#watchDirectory(this.clock.now())
  }

  /** Whoever lets more pile up than it was told is closed; over the relay's own limit, whoever has most. */
  #checkQueues(): void {
    let total = 0
    let longest: RelayLink | undefined
    for (const link of this.#links) {
      const { queuedBytes } = link.pipe
      total += queuedBytes
      if (queuedBytes > (longest?.pipe.queuedBytes ?? 0)) longest = link
      if (queuedBytes > this.queueCapBytes) this.closeOverlong(link)
    }
    if (total > this.limits.relayQueueBytes && longest !== undefined) {
      longest.close(
        new RelayError(
          'overloaded',
          `the relay holds ${total} bytes, ${this.limits.relayQueueBytes} are allowed`,
        ),
      )
    }
  }

  /** The announced cap is for payload; headers and control frames come on top. */
  get queueCapBytes(): number {
    return this.limits.linkQueueBytes * 1.25 + 1_048_576
  }

  /** It granted its peers more than it was told, and does not read. */
  closeOverlong(link: RelayLink): void {
    const { queuedBytes } = link.pipe
    link.close(
      new RelayError(
        'overloaded',
        `${queuedBytes} bytes are queued, ${this.limits.linkQueueBytes} are allowed`,
      ),
    )
  }

  #renew(residence: Residence): void {
    const { state } = residence
    if (state.is !== 'attached') return
    const key = { app: residence.app, address: residence.address, class: residence.class }
    this.#options.directory.renew(key, state.lease, this.limits.leaseMs).then(
      (lease) => {
        if (residence.state === state) residence.state = { is: 'attached', link: state.link, lease }
      },
      (cause: unknown) => {
        if (cause instanceof DirectoryError && cause.code !== 'unavailable' && residence.state === state) {
          state.link.close(asRelayError(cause))
        } else this.metrics.directoryFailures += 1
      },
    )
  }

  #upLinks(): number {
    const { urgent, bulk } = this.metrics.links
    return urgent.attached + urgent.visiting + bulk.attached + bulk.visiting
  }
}

function asRelayError(cause: unknown): RelayError {
  if (cause instanceof RelayError) return cause
  if (cause instanceof DirectoryError) {
    const code: CloseReason = cause.code === 'unavailable' ? 'internal' : cause.code
    return new RelayError(code, cause.message, { cause })
  }
  return new RelayError('internal', 'a fault of the relay', { cause })
}

function residenceKey(app: string, address: string, trafficClass: TrafficClass): string {
  return `${app} ${address} ${trafficClass}`
}
function addressKey(app: string, address: string): string {
  return `${app} ${address}`
}
function keyOfWho(who: Attached): LeaseKey {
  return { app: who.app, address: who.address, class: who.class }
}

/** The links that opened streams to whoever is at the end of `link`, with their ends of the routes. */
function openersTo(link: RelayLink): Map<RelayLink, RouteEnd[]> {
  const ends: RouteEnd[] = []
  for (const end of link.ends.values()) {
    // Labels that we gave are even: there it is the acceptor.
    if (end.label % 2 === 0 && end.other !== undefined) ends.push(end.other)
  }
  return groupBy(ends, (end) => end.link)
}

function groupBy<K, V>(all: readonly V[], key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const value of all) {
    const group = groups.get(key(value))
    if (group === undefined) groups.set(key(value), [value])
    else group.push(value)
  }
  return groups
}

function batches<T>(all: readonly T[]): T[][] {
  const result: T[][] = []
  for (let at = 0; at < all.length; at += MAX_BATCH) result.push(all.slice(at, at + MAX_BATCH))
  return result
}
