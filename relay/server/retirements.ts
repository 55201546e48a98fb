/**
 * Token generations that the agent has retired, remembered for a while: so that peers hear `gone`
 * and not `unknown`, and a directory that came back empty can be told again. Used by residents
 * and the lease keeper.
 */
import type { Clock } from '../time/clock.ts'

/** A retired generation is remembered here this long, so that its peers hear `gone` and not `unknown`, ms. */
const REMEMBER_RETIRED_MS = 600_000
/** Of one application; then its oldest is forgotten. More than it has executors. */
const MAX_OF_ONE = 8_192

export interface Retirement {
  readonly app: string
  readonly address: string
  /** This one and all below are over. */
  readonly generation: number
  readonly atMs: number
  /** Whether the directory has it. What could not be told is told again. */
  readonly told: 'no' | 'on its way' | 'yes'
}
interface Remembered extends Retirement {
  told: Retirement['told']
}

/** Who said that a generation is over: what the directory itself says, it need not be told. */
export type RetirementSource = 'driver' | 'directory'

export class Retirements {
  readonly #clock: Clock
  /** By application and address; of each application the oldest first. */
  readonly #retired = new Map<string, Map<string, Remembered>>()
  /** Those that the directory has yet to hear of. */
  readonly #untold = new Set<Remembered>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(app: string, address: string, generation: number, source: RetirementSource): void {
    const known = this.#find(app, address)
    if (known !== undefined && known.generation >= generation) {
      // Stays where it is: the directory may answer a relay that is just telling it of all.
      if (source === 'directory' && known.generation === generation) this.tell(known, 'yes')
      return
    }
    this.#forget(known) // the newest is last
    let own = this.#retired.get(app)
    if (own === undefined) {
      own = new Map()
      this.#retired.set(app, own)
    } else if (own.size >= MAX_OF_ONE) {
      const [oldest] = own.values()
      own.delete(oldest?.address ?? '')
      if (oldest !== undefined) this.#untold.delete(oldest)
    }
    const retirement: Remembered = { app, address, generation, atMs: this.#clock.now(), told: 'yes' }
    own.set(address, retirement)
    if (source === 'driver') this.tell(retirement, 'no')
  }

  has(app: string, address: string): boolean {
    return this.#find(app, address) !== undefined
  }

  /** Whether this generation is known to be over. */
  covers(app: string, address: string, generation: number): boolean {
    const known = this.#find(app, address)
    return known !== undefined && generation <= known.generation
  }

  /**
   * An heir of this generation holds the address: that those before it are over says nothing of
   * it. The directory that granted its lease knows that they are.
   */
  forgetBelow(app: string, address: string, generation: number): void {
    const known = this.#find(app, address)
    if (known !== undefined && known.generation < generation) this.#forget(known)
  }

  /** Those that the directory has yet to hear of, and that nobody is telling it. */
  untold(): readonly Retirement[] {
    return [...this.#untold]
  }

  /** What has become of telling the directory. */
  tell(retirement: Retirement, told: Retirement['told']): void {
    const known = this.#find(retirement.app, retirement.address)
    if (known !== retirement) return // forgotten, or another generation's by now
    known.told = told
    if (told === 'no') this.#untold.add(known)
    else this.#untold.delete(known)
  }

  /** The directory may have forgotten all of them. */
  untell(): void {
    for (const own of this.#retired.values())
      for (const retirement of own.values()) this.tell(retirement, 'no')
  }

  /** Forgets those whose time is over, unless the directory has yet to hear of them. */
  sweep(): void {
    const now = this.#clock.now()
    for (const own of this.#retired.values())
      for (const retirement of own.values()) {
        if (now - retirement.atMs < REMEMBER_RETIRED_MS) break
        if (retirement.told === 'yes') this.#forget(retirement)
      }
  }

  #find(app: string, address: string): Remembered | undefined {
    return this.#retired.get(app)?.get(address)
  }

  #forget(retirement: Remembered | undefined): void {
    if (retirement === undefined) return
    const own = this.#retired.get(retirement.app)
    own?.delete(retirement.address)
    if (own?.size === 0) this.#retired.delete(retirement.app)
    this.#untold.delete(retirement)
  }
}
