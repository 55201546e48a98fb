/**
 * The addresses that a relay knows: who is at home here, who is missing and for how long, who
 * waits for whom, and who is told when one is given up. Used by node.ts and the parts beside it.
 */
import type { Lease, LeaseKey } from '../directory/directory.ts'
import { encodeGone, encodeRouteDown, type TrafficClass } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import type { Answers } from './answers.ts'
import { batches, groupBy } from './batches.ts'
import type { Joining } from './joining.ts'
import type { NodeContext } from './node-context.ts'
import type { Attached, RelayLink } from './relay-link.ts'
import { Residence, type ResidenceState } from './residence.ts'
import type { RetirementSource, Retirements } from './retirements.ts'
import type { RouteEnd } from './route.ts'

/** Between telling where an address has moved and taking the old way down, ms: a dial and a handshake. */
const PARTING_MS = 300
/** One that is at home elsewhere and watched from here is looked at this often, ms … */
const LOOK_AGAIN_MS = 1_000
/** … and so many times: longer than a dead one's lease lives. */
const MAX_LOOKS = 45
/** One that is attached is watched for as long as its loss may go unnoticed, and this much longer, ms. */
const WATCHED_SPARE_MS = 2_000
/** Addresses without a link that are waited for, at most; and those of one application. */
const MAX_EXPECTED = 65_536
const MAX_EXPECTED_OF_ONE = 16_384
/** Addresses that are not here and that one link waits to hear of: more than an application has executors. */
const MAX_WATCHED = 4_096

export class Residents {
  readonly #context: NodeContext
  readonly #answers: Answers
  readonly #joining: Joining
  readonly #retirements: Retirements
  readonly #residences = new Map<string, Residence>()
  /** How many of them each application has. */
  readonly #sizes = new Map<string, number>()
  /** Links whose endpoint has another home by now, and whose routes are about to go. */
  readonly #parting = new Set<RelayLink>()

  constructor(context: NodeContext, answers: Answers, joining: Joining, retirements: Retirements) {
    this.#context = context
    this.#answers = answers
    this.#joining = joining
    this.#retirements = retirements
  }

  get(app: string, address: string, trafficClass: TrafficClass): Residence | undefined {
    return this.#residences.get(residenceKey(app, address, trafficClass))
  }
  all(): Iterable<Residence> {
    return this.#residences.values()
  }
  get size(): number {
    return this.#residences.size
  }
  /** The links of those who are at home here. */
  homeLinks(): RelayLink[] {
    const links: RelayLink[] = []
    for (const { state } of this.#residences.values()) if (state.is === 'attached') links.push(state.link)
    return links
  }
  /** Asking for addresses that nobody has costs memory for the time of grace: in all, and of each application. */
  expectsTooMany(app: string): boolean {
    const { maxLinks } = this.#context.limits
    if (this.#residences.size > maxLinks + MAX_EXPECTED) return true
    return (this.#sizes.get(app) ?? 0) > maxLinks + MAX_EXPECTED_OF_ONE
  }

  #add(name: string, residence: Residence): void {
    this.#residences.set(name, residence)
    this.#sizes.set(residence.app, (this.#sizes.get(residence.app) ?? 0) + 1)
  }
  #remove({ app, address, class: trafficClass }: Residence): void {
    if (!this.#residences.delete(residenceKey(app, address, trafficClass))) return
    const left = (this.#sizes.get(app) ?? 1) - 1
    if (left === 0) this.#sizes.delete(app)
    else this.#sizes.set(app, left)
  }
  /** Nothing is waited for any more. */
  clear(): void {
    for (const { state } of this.#residences.values()) if (state.is === 'missing') state.grace.cancel()
    this.#residences.clear()
    this.#sizes.clear()
  }

  /** `link` is home now: the old link gives way, those who waited are joined, those who watched another incarnation are told. */
  settle(link: RelayLink, who: Attached, lease: Lease): void {
    const key = residenceKey(who.app, who.address, who.class)
    let residence = this.#residences.get(key)
    const state = { is: 'attached', link, lease } as const
    if (residence === undefined) {
      residence = new Residence(who.app, who.address, who.class, state)
      this.#add(key, residence)
    } else {
      const before = residence.state
      if (before.is === 'missing') before.grace.cancel()
      residence.state = state
      if (before.is === 'attached') {
        if (before.lease.incarnation !== who.incarnation) this.#context.metrics.gone.superseded += 1
        before.link.close(new RelayError('superseded', `${who.address} has a newer link`))
      }
    }
    this.#tellOfOthers(residence, who.incarnation)
    residence.watchedAttachedMs = this.#context.clock.now()
    this.#context.log.info(
      { app: who.app, address: who.address, class: who.class, epoch: lease.epoch },
      'attached',
    )
    const parked = residence.takeParked()
    this.#context.metrics.parkedOpens -= parked.length
    this.#joining.joinAll(parked, residence)
  }

  /**
   * `who` was granted `lease` and lost its link before it was up. It is on its way back, here or to
   * another relay: until then it is missing here, as if it had been home. A link that it has here
   * already stays, and carries the newer lease.
   */
  hold(who: Attached, lease: Lease): void {
    if (this.#context.state === 'over') return // the lease runs out by itself
    const residence = this.expect({ app: who.app, address: who.address, class: who.class })
    const before = residence.state
    if (before.is === 'attached' && before.lease.incarnation === lease.incarnation) {
      residence.state = { is: 'attached', link: before.link, lease }
      return
    }
    if (before.is === 'missing') before.grace.cancel()
    residence.state = this.#missing(residence, lease)
    if (before.is === 'attached') {
      this.#context.metrics.gone.superseded += 1
      before.link.close(new RelayError('superseded', `${who.address} has a newer process`))
    }
  }

  park(residence: Residence, ends: readonly RouteEnd[]): void {
    for (const end of ends) residence.park(end)
    this.#context.metrics.parkedOpens += ends.length
  }

  unpark(end: RouteEnd, app: string, trafficClass: TrafficClass): void {
    if (end.ask === undefined) return
    const residence = this.get(app, end.ask.to, trafficClass)
    if (residence?.unpark(end) === true) this.#context.metrics.parkedOpens -= 1
    end.ask = undefined
  }

  /** A residence for an address that is not here, with its grace running. */
  expect(key: LeaseKey): Residence {
    const name = residenceKey(key.app, key.address, key.class)
    const known = this.#residences.get(name)
    if (known !== undefined) return known
    const residence = new Residence(key.app, key.address, key.class, {
      is: 'missing',
      lease: undefined,
      grace: this.#context.clock.after(this.#context.limits.graceMs, () => this.#graceOver(residence)),
    })
    this.#add(name, residence)
    return residence
  }

  /**
   * A stream that lives somewhere begins to wait for it. Whoever was at home here has its own time of grace;
   * of any other the time that runs is what an earlier asker had left.
   */
  waitAnew(residence: Residence): void {
    const { state } = residence
    if (state.is !== 'missing' || state.lease?.node === this.#context.node) return
    state.grace.cancel()
    residence.state = this.#missing(residence, state.lease)
  }

  watch(link: RelayLink, address: string, incarnation: string): void {
    const { app, class: trafficClass } = link.who
    const residence = this.get(app, address, trafficClass)
    if (residence?.state.is === 'attached') {
      // It may be lost already, and its link not be missed yet.
      if (residence.state.lease.incarnation === incarnation) {
        residence.watchedAttachedMs = this.#context.clock.now()
        this.#keepWatch(link, address, incarnation)
      } else link.send(encodeGone({ address, incarnation }))
      return
    }
    if (residence === undefined && this.#retirements.has(app, address))
      return this.#watchRetired(link, address, incarnation)
    this.#keepWatch(link, address, incarnation)
  }

  /**
   * Whoever watches one that is attached either has a stream with it again, and hears of its loss by that,
   * or its link is found silent: after that time nobody is kept. All of a thousand watch all of a thousand.
   */
  sweepWatches(): void {
    const { clock, limits } = this.#context
    const before = clock.now() - limits.silenceMs - WATCHED_SPARE_MS
    for (const residence of this.#residences.values()) {
      if (
        residence.state.is === 'attached' &&
        residence.watchers.size > 0 &&
        residence.watchedAttachedMs < before
      )
        residence.forgetWatchers()
    }
  }

  #keepWatch(link: RelayLink, address: string, incarnation: string): void {
    const { app, class: trafficClass } = link.who
    const residence = this.get(app, address, trafficClass)
    // Who is not told in time gives its stream up by itself, later.
    if ((link.watched?.size ?? 0) >= MAX_WATCHED) return
    if (residence === undefined && this.expectsTooMany(app)) return
    this.expect({ app, address, class: trafficClass }).watch(link, incarnation)
  }

  /** A generation of `address` was retired; whether the one that is watched came after it, the directory knows. */
  #watchRetired(link: RelayLink, address: string, incarnation: string): void {
    const { app, class: trafficClass } = link.who
    const answer = (mayLive: boolean): void => {
      if (!link.isUp) return
      if (this.get(app, address, trafficClass) !== undefined) this.watch(link, address, incarnation)
      else if (mayLive) this.#keepWatch(link, address, incarnation)
      else link.send(encodeGone({ address, incarnation }))
    }
    this.#context.lookups.ask({ app, address, class: trafficClass }).then(
      (lease) => {
        if (lease !== undefined) this.#retirements.forgetBelow(app, address, lease.generation)
        answer(this.#context.mayStillCome || !this.#retirements.has(app, address))
      },
      () => {
        this.#context.metrics.directoryFailures += 1
        answer(true)
      },
    )
  }

  /** Nothing has happened to it while the directory was asked. */
  isStill(residence: Residence, state: ResidenceState): boolean {
    const { app, address, class: trafficClass } = residence
    return residence.state === state && this.get(app, address, trafficClass) === residence
  }

  miss(residence: Residence, peers: Iterable<RelayLink>): void {
    if (residence.state.is !== 'attached' || this.#context.state === 'over') return
    const { lease } = residence.state
    residence.state = this.#missing(residence, lease)
    for (const peer of peers) if (peer.isUp) residence.watch(peer, lease.incarnation)
  }

  /** From now on its grace runs. */
  #missing(residence: Residence, lease: Lease | undefined): ResidenceState {
    const grace = this.#context.clock.after(this.#context.limits.graceMs, () => this.#graceOver(residence))
    return { is: 'missing', lease, grace }
  }

  /** Takes all routes of a link down and tells the other ends. */
  cutRoutes(link: RelayLink, who: Attached): void {
    const byLink = new Map<RelayLink, number[]>()
    for (const end of link.ends.values()) {
      const { other } = end
      if (other === undefined) {
        this.unpark(end, who.app, who.class)
        continue
      }
      other.link.closeEnd(other)
      this.#context.metrics.routes[who.class] -= 1
      const labels = byLink.get(other.link)
      if (labels === undefined) byLink.set(other.link, [other.label])
      else labels.push(other.label)
    }
    for (const [peer, labels] of byLink) {
      for (const batch of batches(labels)) peer.send(encodeRouteDown({ labels: batch }))
    }
  }

  /** Grace is over; the directory has the last word, and if it cannot be asked nobody is given up. */
  #graceOver(residence: Residence): void {
    const { state } = residence
    if (state.is !== 'missing') return
    // A relay that leaves sends them away itself; whom they wait for may be waiting for the next relay, too.
    if (this.#context.state !== 'serving') return this.#graceLonger(residence, state)
    const key = { app: residence.app, address: residence.address, class: residence.class }
    this.#context.lookups.ask(key).then(
      (lease) => {
        if (!this.isStill(residence, state)) return // it came back while we asked, or was found elsewhere
        if (lease !== undefined && lease.node !== this.#context.node)
          return this.atHomeElsewhere(residence, lease)
        // While the directory was away nobody could attach, here or elsewhere: that time is no grace.
        if (this.#context.mayStillCome) return this.#graceLonger(residence, state)
        if (lease === undefined) return this.giveUp(residence, 'grace', [])
        // A lease of ours that is not the one that was lost: it is attaching at this moment.
        if (lease.epoch !== state.lease?.epoch) return this.#graceLonger(residence, state)
        this.#context.directory.release(key, lease.epoch).catch(() => {})
        this.giveUp(residence, 'grace', [])
      },
      () => {
        if (!this.isStill(residence, state)) return
        this.#context.metrics.directoryFailures += 1
        this.#graceLonger(residence, state)
      },
    )
  }

  #graceLonger(residence: Residence, state: Extract<ResidenceState, { is: 'missing' }>): void {
    residence.state = { ...state, grace: this.#context.clock.after(1_000, () => this.#graceOver(residence)) }
  }

  /**
   * It has a newer home, and a link here as well. Those who opened streams to it are told where to
   * go. If we asked it to move, the old link works: they dial first, and lose the old way after.
   */
  movedAway(residence: Residence, lease: Lease): void {
    if (residence.state.is !== 'attached') return
    const { link } = residence.state
    const cut = (): void => {
      this.#parting.delete(link)
      if (!link.isUp) return
      for (const [opener, ends] of openersTo(link)) {
        for (const end of ends) if (end.other !== undefined) this.#joining.endRoute(end, end.other)
        this.#answers.pointTo(opener, residence.address, ends, lease)
      }
      link.close(new RelayError('superseded', `${residence.address} is at home elsewhere`))
    }
    if (this.#context.state === 'serving' && !this.#context.isCutOff) return cut()
    if (this.#parting.has(link)) return
    this.#parting.add(link)
    for (const opener of openersTo(link).keys()) this.#answers.pointTo(opener, residence.address, [], lease)
    this.#context.clock.after(PARTING_MS, cut)
  }

  atHomeElsewhere(residence: Residence, lease: Lease): void {
    this.#tellOfOthers(residence, lease.incarnation)
    const parked = residence.takeParked()
    this.#context.metrics.parkedOpens -= parked.length
    if (residence.watchers.size === 0 || residence.looks >= MAX_LOOKS) {
      residence.forgetWatchers()
      this.#remove(residence)
    } else {
      // Whoever is watched holds that lease: it resumes in a moment, or died and its lease goes in a while.
      residence.looks += 1
      const grace = this.#context.clock.after(LOOK_AGAIN_MS, () => this.#graceOver(residence))
      residence.state = { is: 'missing', lease, grace }
    }
    this.#answers.redirect(residence.address, parked, lease)
  }

  /** `lives` has the address: whoever watches another incarnation of it hears that this one is gone. */
  #tellOfOthers(residence: Residence, lives: string): void {
    for (const [watcher, incarnations] of residence.watchers) {
      for (const incarnation of incarnations) {
        if (incarnation === lives) continue
        incarnations.delete(incarnation)
        watcher.send(encodeGone({ address: residence.address, incarnation }))
      }
      if (incarnations.size === 0) residence.unwatch(watcher)
    }
  }

  /** Nobody waits for this address any more. GONE travels behind what is queued for each peer. */
  giveUp(residence: Residence, why: 'goodbye' | 'grace' | 'retired', peers: Iterable<RelayLink>): void {
    const { state, address } = residence
    this.#remove(residence)
    const incarnation = state.lease?.incarnation ?? ''
    if (state.is === 'missing') state.grace.cancel()
    else if (why === 'goodbye') {
      const key = { app: residence.app, address, class: residence.class }
      this.#context.directory.release(key, state.lease.epoch).catch(() => {})
    }
    for (const peer of peers) residence.watch(peer, incarnation)
    for (const [watcher, incarnations] of residence.watchers) {
      for (const each of incarnations) watcher.send(encodeGone({ address, incarnation: each }))
    }
    residence.forgetWatchers()
    this.#context.metrics.parkedOpens -= residence.parked.size
    this.#answers.refuseAll(
      [...residence.parked],
      state.lease === undefined && why === 'grace' ? 'unknown' : 'gone',
    )
    this.#context.metrics.gone[why] += 1
    // One that was asked for and never seen: whoever asks makes up as many as he likes.
    if (state.lease !== undefined)
      this.#context.log.info({ app: residence.app, address, class: residence.class, why }, 'gone')
  }

  /** What a retirement means at this relay, whoever was told of it. */
  retire(app: string, address: string, generation: number, source: RetirementSource): void {
    this.#retirements.note(app, address, generation, source)
    for (const link of this.#context.visitors.of(app, address)) {
      if (link.isUp && link.who.generation <= generation)
        link.close(new RelayError('retired', `generation ${generation} of ${address} was retired`))
    }
    for (const trafficClass of ['urgent', 'bulk'] as const) {
      const residence = this.get(app, address, trafficClass)
      if (residence === undefined) continue
      const { state } = residence
      if (state.lease === undefined) this.#retireUnseen(residence, state, generation)
      else if (state.lease.generation > generation) continue
      else if (state.is === 'missing') this.giveUp(residence, 'retired', [])
      else state.link.close(new RelayError('retired', `generation ${generation} of ${address} was retired`))
    }
  }

  /**
   * Which generation is waited for is not known here. The driver says what it has retired to every
   * new home of its own: an heir may hold the address by now.
   */
  #retireUnseen(residence: Residence, state: ResidenceState, generation: number): void {
    const key = { app: residence.app, address: residence.address, class: residence.class }
    this.#context.lookups.ask(key).then(
      (lease) => {
        if (!this.isStill(residence, state)) return
        if (lease === undefined ? this.#context.mayStillCome : lease.generation > generation) return
        this.giveUp(residence, 'retired', [])
      },
      () => {
        this.#context.metrics.directoryFailures += 1 // grace goes on
      },
    )
  }
}

function residenceKey(app: string, address: string, trafficClass: TrafficClass): string {
  return `${app} ${address} ${trafficClass}`
}

/** The links at the other ends of its routes. */
export function peersOf(link: RelayLink): Set<RelayLink> {
  const peers = new Set<RelayLink>()
  for (const { other } of link.ends.values()) if (other !== undefined) peers.add(other.link)
  return peers
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
