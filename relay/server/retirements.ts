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

/** Who said that a generation is over: what the directory itself says, it need not be told. */
export type RetirementSource = 'driver' | 'directory'

export class Retirements {
  readonly #clock: Clock
  /** Oldest first. */
  readonly #retired = new Map<string, Retirement>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(app: string, address: string, generation: number, source: RetirementSource): void {
    const key = `${app} ${address}`
    const known = this.#retired.get(key)
    if (known !== undefined && known.generation >= generation) {
      // Stays where it is: the directory may answer a relay that is just telling it of all.
      if (source === 'directory' && known.generation === generation) known.told = 'yes'
      return
    }
    this.#retired.delete(key) // the newest is last
    this.#retired.set(key, {
      app,
      address,
      generation,
      atMs: this.#clock.now(),
      told: source === 'directory' ? 'yes' : 'no',
    })
  }

  has(app: string, address: string): boolean {
    return this.#retired.has(`${app} ${address}`)
  }

  /** Whether this generation is known to be over. */
  covers(app: string, address: string, generation: number): boolean {
    const known = this.#retired.get(`${app} ${address}`)
    return known !== undefined && generation <= known.generation
  }

  /**
   * An heir of this generation holds the address: that those before it are over says nothing of
   * it. The directory that granted its lease knows that they are.
   */
  forgetBelow(app: string, address: string, generation: number): void {
    const key = `${app} ${address}`
    const known = this.#retired.get(key)
    if (known !== undefined && known.generation < generation) this.#retired.delete(key)
  }

  all(): Iterable<Retirement> {
    return this.#retired.values()
  }

  /** The directory may have forgotten all of them. */
  untell(): void {
    for (const retirement of this.#retired.values()) retirement.told = 'no'
  }

  /** Forgets those whose time is over, unless the directory has yet to hear of them. */
  sweep(): void {
    const now = this.#clock.now()
    for (const [key, { atMs, told }] of this.#retired) {
      if (now - atMs < REMEMBER_RETIRED_MS) return
      if (told === 'yes') this.#retired.delete(key)
    }
  }
}
