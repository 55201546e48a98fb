/**
 * Pairs the labels of two links into routes, and passes on the answers that make them whole:
 * OPENED and RESUMED. Used by asks (who found the other end) and residents (when it attaches).
 */
import {
  decodeOpened,
  decodeResumed,
  encodeControl,
  encodeResume,
  encodeResumed,
  type ResumedEntry,
  type ResumeEntry,
} from '../wire/control.ts'
import { violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import type { Answers } from './answers.ts'
import { batches } from './batches.ts'
import type { RelayMetrics } from './metrics.ts'
import type { RelayLink } from './relay-link.ts'
import type { Residence } from './residence.ts'
import { type Ask, join, type RouteEnd } from './route.ts'

type ResumeAsk = Extract<Ask, { is: 'resume' }>

export class Joining {
  readonly #metrics: RelayMetrics
  readonly #answers: Answers

  constructor(metrics: RelayMetrics, answers: Answers) {
    this.#metrics = metrics
    this.#answers = answers
  }

  joinAll(ends: readonly RouteEnd[], residence: Residence): void {
    if (residence.state.is !== 'attached') return
    const { link: target, lease } = residence.state
    const resumes = new Map<RelayLink, [RouteEnd, ResumeAsk][]>()
    for (const end of ends) {
      const { ask } = end
      if (ask === undefined || !end.link.isUp) continue
      if (!target.canOpen) {
        this.#answers.refuseAll([end], 'overloaded')
      } else if (ask.is === 'open') {
        this.#joinOpen(end, ask, target)
      } else if (ask.incarnation !== '' && ask.incarnation !== lease.incarnation) {
        this.#answers.refuseAll([end], 'lost') // another process has the address now: it never had this stream
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
    this.#metrics.routes[target.who.class] += 1
    const { port, id } = ask
    target.send(encodeControl(FrameType.open, far.label, ask.limit, { from: address, incarnation, port, id }))
  }

  #joinResumes(link: RelayLink, group: readonly [RouteEnd, ResumeAsk][], target: RelayLink): void {
    const { address, incarnation } = link.who
    const entries = group.map(([end, ask]): ResumeEntry => {
      const far = target.giveLabel()
      join(end, far)
      far.owes = { is: 'resumed', limit: ask.limit, generation: ask.generation }
      this.#metrics.routes[target.who.class] += 1
      const { id, generation, received, limit, port } = ask
      return { label: far.label, id, generation, received, limit, port }
    })
    target.send(encodeResume({ peer: address, incarnation, entries }))
  }

  handleOpened(link: RelayLink, label: number, limit: number, payload: Buffer): void {
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

  handleResumed(link: RelayLink, payload: Buffer): void {
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
      this.#metrics.resumes[entry.status] += 1
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
    this.#metrics.routes[a.link.isUp ? a.link.who.class : b.link.who.class] -= 1
  }
}
