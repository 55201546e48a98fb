/**
 * What happened lately, told by all sides in the order of time: the faults, the endpoints, the relays'
 * logs. For the people who read why a soak failed. Used by soak.ts.
 */
import { readFileSync } from 'node:fs'
import type { Fleet } from './fleet.ts'
import type { Party } from './party.ts'

interface Line {
  readonly atMs: number
  readonly text: string
}

/** Enough of a line of log to know what it says. */
const MAX_LINE = 240

export class Journal {
  readonly #fleet: Fleet
  readonly #parties: readonly Party[]
  readonly #faults: Line[] = []

  constructor(fleet: Fleet, parties: readonly Party[]) {
    this.#fleet = fleet
    this.#parties = parties
  }

  note(fault: string): void {
    this.#faults.push({ atMs: performance.now(), text: `--- ${fault}` })
  }

  /** The last `ms`, oldest first; each line with its time before now, s. */
  lately(ms: number): string[] {
    const now = performance.now()
    const lines = [...this.#faults, ...this.#told(), ...this.#logged()].filter(({ atMs }) => now - atMs < ms)
    lines.sort((a, b) => a.atMs - b.atMs)
    return lines.map(({ atMs, text }) => `${((atMs - now) / 1_000).toFixed(3)} ${text.slice(0, MAX_LINE)}`)
  }

  *#told(): Iterable<Line> {
    for (const { address, events } of this.#parties) {
      for (const { atMs, what } of events) {
        if (what.is === 'report' || what.is === 'weight') continue
        yield { atMs, text: `${address} ${JSON.stringify(what)}` }
      }
    }
  }

  *#logged(): Iterable<Line> {
    for (const { index, logFile } of this.#fleet.relays) {
      for (const text of readFileSync(logFile, 'utf8').split('\n')) {
        const time = Number(/"time":(\d+)/.exec(text)?.[1])
        if (!(time > 0)) continue
        const {
          level: _,
          time: __,
          pid: ___,
          hostname: ____,
          ...said
        } = JSON.parse(text) as Record<string, unknown>
        yield { atMs: time - performance.timeOrigin, text: `relay ${index} ${JSON.stringify(said)}` }
      }
    }
  }
}
