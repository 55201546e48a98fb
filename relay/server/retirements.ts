/**
 * Token generations that the agent has retired, remembered for a while: so that peers hear `gone`
 * and not `unknown`, and a directory that came back empty can be told again. Used by residents
 * and the lease keeper.
 */
import type { Clock } from '../time/clock.ts'

/** A retired generation is remembered here this long, so that its peers hear `gone` and not `unknown`, ms. */
const REMEMBER_RETIRED_MS = 600_000

export interface Retirement {
  readonly app: string
  readonly address: string
  /** This one and all below are over. */
  readonly generation: number
  readonly atMs: number
  /** Whether the directory has it. What could not be told is told again. */
  told: 'no' | 'on its way' | 'yes'
}

export class Retirements {
  readonly #clock: Clock
  /** Oldest first. */
  readonly #retired = new Map<string, Retirement>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(app: string, address: string, generation: number): void {
    const key = `${app} ${address}`
    const known = this.#retired.get(key)
    this.#retired.delete(key) // the newest is last
    this.#retired.set(key, {
      app,
      address,
      generation: Math.max(generation, known?.generation ?? 0),
      atMs: this.#clock.now(),
      told: 'no',
    })
  }

  has(app: string, address: string): boolean {
    return this.#retired.has(`${app} ${address}`)
  }

  all(): Iterable<Retirement> {
    return this.#retired.values()
  }

  /** The directory may have forgotten all of them. */
  untell(): void {
    for (const retirement of this.#retired.values()) retirement.told = 'no'
  }

  /** Forgets those whose time is over. */
  sweep(): void {
    const now = this.#clock.now()
    for (const [key, { atMs }] of this.#retired) {
      if (now - atMs < REMEMBER_RETIRED_MS) return
      this.#retired.delete(key)
    }
  }
}
