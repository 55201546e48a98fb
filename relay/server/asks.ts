/**
 * OPEN and RESUME: finds whom they ask for. At home here they are joined, elsewhere they are sent
 * there, in grace they wait, and else they are refused. Used by node.ts.
 */
import type { LeaseKey } from '../directory/directory.ts'
import type { Answers } from './answers.ts'
import type { Joining } from './joining.ts'
import { LOOKUP_COST } from './lookups.ts'
import type { NodeContext } from './node-context.ts'
import type { Residents } from './residents.ts'
import type { Retirements } from './retirements.ts'
import type { RouteEnd } from './route.ts'

export class Asks {
  readonly #context: NodeContext
  readonly #answers: Answers
  readonly #joining: Joining
  readonly #residents: Residents
  readonly #retirements: Retirements

  constructor(
    context: NodeContext,
    answers: Answers,
    joining: Joining,
    residents: Residents,
    retirements: Retirements,
  ) {
    this.#context = context
    this.#answers = answers
    this.#joining = joining
    this.#residents = residents
    this.#retirements = retirements
  }

  /** All of `ends` are of one link and ask for one address. */
  ask(ends: readonly RouteEnd[]): void {
    const [first] = ends
    if (first?.ask === undefined) return
    const { link } = first
    const { app, class: trafficClass } = link.who
    const { to } = first.ask
    if (link.ends.size > this.#context.limits.maxStreams) return this.#answers.refuseAll(ends, 'overloaded')
    const residence = this.#residents.get(app, to, trafficClass)
    if (residence?.state.is === 'attached') return this.#joining.joinAll(ends, residence)
    // Only who would need another place: those who are here meet, whatever others ask for.
    if (residence === undefined && this.#residents.expectsTooMany(app))
      return this.#answers.refuseAll(ends, 'overloaded')
    link.spendControl(LOOKUP_COST)
    // Missing here, it may be at home elsewhere by now: the directory knows before grace is over.
    this.#lookUp({ app, address: to, class: trafficClass }, ends)
  }

  /** Not at home here: somewhere else, not back yet, or nowhere. */
  #lookUp(key: LeaseKey, ends: readonly RouteEnd[]): void {
    // Who resumes has lost something a moment ago: an answer of some seconds ago would not do.
    const isResume = ends[0]?.ask?.is === 'resume'
    this.#context.lookups.ask(key, isResume ? 'fresh' : 'cached').then(
      (lease) => {
        const waiting = this.#stillAsking(key, ends)
        if (waiting.length === 0) return
        if (lease !== undefined && lease.node !== this.#context.node && this.#context.lives(lease.node))
          return this.#answers.redirect(key.address, waiting, lease)
        const residence = this.#residents.get(key.app, key.address, key.class)
        if (residence !== undefined) {
          if (isResume && lease === undefined) this.#residents.waitAnew(residence)
          return this.#residents.park(residence, waiting)
        }
        // Also a retired one: that says nothing of its heir, whose lease a new directory may not have yet.
        if (lease !== undefined || this.#context.mayStillCome)
          return this.#residents.park(this.#residents.expect(key), waiting)
        if (this.#retirements.has(key.app, key.address)) return this.#answers.refuseAll(waiting, 'gone')
        // A stream was there a moment ago. So may its other end be, at a relay that is cut off from the directory.
        if (isResume) return this.#residents.park(this.#residents.expect(key), waiting)
        this.#answers.refuseAll(waiting, 'unknown')
      },
      () => {
        // Nothing is known, so nothing is refused: it waits as if the address were in grace.
        this.#context.metrics.directoryFailures += 1
        const staying = this.#sendHome(key.address, this.#stillAsking(key, ends))
        if (staying.length > 0) this.#residents.park(this.#residents.expect(key), staying)
      },
    )
  }

  /** The directory has answered, or not: joins to whoever came here meanwhile. Returns those who still wait. */
  #stillAsking(key: LeaseKey, ends: readonly RouteEnd[]): readonly RouteEnd[] {
    const waiting = ends.filter((end) => end.ask !== undefined && end.link.isUp)
    const residence = this.#residents.get(key.app, key.address, key.class)
    if (residence?.state.is !== 'attached') return waiting
    this.#joining.joinAll(waiting, residence)
    return []
  }

  /**
   * The directory cannot be asked here. Visitors have a home that may know more: they are sent
   * there, by a MOVED that names no place. Answers those who have only us.
   */
  #sendHome(to: string, ends: readonly RouteEnd[]): RouteEnd[] {
    const visitors = ends.filter((end) => end.link.who.mode === 'visit')
    this.#answers.redirect(to, visitors, { node: this.#context.node, urls: [], epoch: 0 })
    return ends.filter((end) => end.link.who.mode === 'attach')
  }

  /** Hints may be lost: whoever is waited for is looked up again. */
  askAgain(): void {
    for (const residence of this.#residents.all()) {
      if (residence.state.is !== 'missing' || residence.parked.size === 0) continue
      const { state } = residence
      const key = { app: residence.app, address: residence.address, class: residence.class }
      this.#context.lookups.ask(key).then(
        (lease) => {
          if (!this.#residents.isStill(residence, state)) return
          if (lease === undefined || lease.node === this.#context.node) return
          if (!this.#context.lives(lease.node)) return
          state.grace.cancel()
          this.#residents.atHomeElsewhere(residence, lease)
        },
        () => {
          this.#context.metrics.directoryFailures += 1
          if (!this.#residents.isStill(residence, state)) return
          const waiting = [...residence.parked]
          const staying = new Set(this.#sendHome(residence.address, waiting))
          for (const end of waiting) {
            if (!staying.has(end) && residence.unpark(end)) this.#context.metrics.parkedOpens -= 1
          }
        },
      )
    }
  }

  /** The endpoint reset a stream that was still waiting. */
  cancelAsk(end: RouteEnd): void {
    if (end.ask === undefined) return
    const { app, class: trafficClass } = end.link.who
    this.#residents.unpark(end, app, trafficClass)
    end.link.closeEnd(end)
  }
}
