/**
 * Time for the simulator: a queue of events that run in order of their time, then of their
 * making. Nothing here looks at the real clock, so a seed replays exactly. Used by test/sim.
 */
import type { Clock, Timer } from '../../relay/time/clock.ts'

/** Whose event it is: it waits while the owner is stopped, and is lost when that one is dead. */
export interface Owner {
  readonly isDead: boolean
  readonly stoppedUntilMs: number
}

class Event implements Timer {
  atMs: number
  order: number
  callback: (() => void) | undefined
  readonly owner: Owner | undefined

  constructor(atMs: number, order: number, callback: () => void, owner: Owner | undefined) {
    this.atMs = atMs
    this.order = order
    this.callback = callback
    this.owner = owner
  }
  cancel(): void {
    this.callback = undefined
  }
}

/** Promise jobs that one event may need to settle: twice as many as schedules were seen to need. */
const PROMISE_TURNS = 12

/** More than any schedule needs: who goes on after that goes in circles. */
const MAX_EVENTS = 500_000

export class SimClock implements Clock {
  #nowMs = 1_000
  #order = 0
  #unsettled = false
  readonly #heap: Event[] = []
  /** Events that ran; for the cost of a schedule. */
  ran = 0
  /** Above 0: somebody waits on promises of his own, so they are settled after each event. */
  settlesAlways = 0

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void, owner?: Owner): Timer {
    this.#order += 1
    const event = new Event(this.#nowMs + Math.max(0, delayMs), this.#order, callback, owner)
    this.#push(event)
    return event
  }

  /** A promise was settled: its jobs run before the next event. */
  promiseSettled(): void {
    this.#unsettled = true
  }

  /** Events that wait. */
  get pending(): number {
    let count = 0
    for (const event of this.#heap) if (event.callback !== undefined) count += 1
    return count
  }

  /** Runs what falls due up to `untilMs`, or until `isDone`, looked at after each event. */
  async run(untilMs: number, isDone?: () => boolean): Promise<void> {
    await this.#settle()
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#pop()
      const { callback, owner } = next
      if (callback === undefined) continue
      if (next.atMs > this.#nowMs) this.#nowMs = next.atMs
      this.ran += 1
      if (this.ran > MAX_EVENTS) throw new Error(`no rest after ${MAX_EVENTS} events, at ${this.#nowMs} ms`)
      if (owner !== undefined && !owner.isDead && owner.stoppedUntilMs > this.#nowMs) this.#again(next, owner)
      else {
        next.callback = undefined
        if (owner?.isDead !== true) callback()
      }
      if (this.#unsettled || this.settlesAlways > 0) await this.#settle()
      if (isDone?.()) return
    }
    if (untilMs > this.#nowMs) this.#nowMs = untilMs
  }

  /** When its owner goes on, behind all that was due before. */
  #again(event: Event, owner: Owner): void {
    this.#order += 1
    event.atMs = owner.stoppedUntilMs
    event.order = this.#order
    this.#push(event)
  }

  async #settle(): Promise<void> {
    this.#unsettled = false
    for (let turn = 0; turn < PROMISE_TURNS; turn++) await undefined
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as Event
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1
      if (!isBefore(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
