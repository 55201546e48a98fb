/**
 * Where the addresses are at home that MOVED has named, and how often a way led nowhere. Used by
 * homes.ts.
 */
import type { Clock, Timer } from '../time/clock.ts'
import type { Moved } from '../wire/control.ts'

/** at: there, as MOVED said. lost: the way led nowhere; until the timer nobody is asked. */
export type KnownHome =
  | {
      readonly is: 'at'
      readonly node: string
      readonly epoch: number
      /** MOVED answers in a row, without a stream that got through. */
      readonly moves: number
    }
  | { readonly is: 'lost'; readonly timer: Timer }

/** After this many MOVED in a row something is stale: wait, then ask the own home again. */
const MAX_MOVES = 3

export class Whereabouts {
  readonly #clock: Clock
  readonly #backoff: (losses: number) => number
  readonly #askAgain: (address: string) => void
  readonly #known = new Map<string, KnownHome>()
  /** How often in a row the way to an address was lost. */
  readonly #losses = new Map<string, number>()

  /** `backoff`: how long to wait after so many losses, ms. `askAgain`: the wait is over, our own home may be asked. */
  constructor(clock: Clock, backoff: (losses: number) => number, askAgain: (address: string) => void) {
    this.#clock = clock
    this.#backoff = backoff
    this.#askAgain = askAgain
  }

  of(address: string): KnownHome | undefined {
    return this.#known.get(address)
  }
  forget(address: string): void {
    this.#known.delete(address)
  }

  /**
   * The relay `teller` says where an address is at home. Lower epochs are ignored. Only the answer
   * of the relay that we took for its home counts as a turn of a circle: many streams that ask at
   * once get as many answers. Returns whether we go by what it said.
   */
  moved(teller: string | undefined, moved: Moved): boolean {
    const before = this.#known.get(moved.to)
    if (before?.is === 'lost') return false
    const moves = (before?.moves ?? 0) + (before === undefined || teller === before.node ? 1 : 0)
    // Without a URL that relay cannot say: ours may.
    if (moved.urls.length === 0 || moves > MAX_MOVES) {
      this.#lose(moved.to)
      return false
    }
    if (before !== undefined && moved.epoch < before.epoch) {
      this.#known.set(moved.to, { ...before, moves })
      return false
    }
    this.#known.set(moved.to, { is: 'at', node: moved.node, epoch: moved.epoch, moves })
    return true
  }

  /** A stream to `address` got through: what MOVED said holds. */
  reached(address: string): void {
    this.#losses.delete(address)
    const known = this.#known.get(address)
    if (known?.is === 'at' && known.moves > 0) this.#known.set(address, { ...known, moves: 0 })
  }

  /** That relay cannot be reached: whoever is at home there is asked for again, after a wait. */
  loseAllAt(node: string): void {
    for (const [address, known] of this.#known) {
      if (known.is === 'at' && known.node === node) this.#lose(address)
    }
  }

  stop(): void {
    for (const known of this.#known.values()) if (known.is === 'lost') known.timer.cancel()
  }

  /** What we were told leads nowhere: after a wait, which grows, our own home is asked again. */
  #lose(address: string): void {
    const losses = (this.#losses.get(address) ?? 0) + 1
    this.#losses.set(address, losses)
    const timer = this.#clock.after(this.#backoff(losses), () => {
      this.#known.delete(address)
      this.#askAgain(address)
    })
    this.#known.set(address, { is: 'lost', timer })
  }
}
