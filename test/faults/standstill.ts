/**
 * Notices when this process got no turn for a while. It does next to nothing itself, so that then the
 * machine stood still, or was more than full: what stalled meanwhile says little of relays. Used by soak.ts.
 */

const LOOK_MS = 100
/** A pause that a full machine makes now and then, ms. */
const WORTH_TELLING_MS = 500

export class StandstillWatch {
  readonly #tell: (ms: number) => void
  readonly #timer: NodeJS.Timeout
  #lookedMs = performance.now()
  #longestMs = 0

  /** `tell`: how long each standstill of half a second or more was, ms, when it is over. */
  constructor(tell: (ms: number) => void) {
    this.#tell = tell
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  get longestMs(): number {
    return this.#longestMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    const late = now - this.#lookedMs - LOOK_MS
    this.#lookedMs = now
    this.#longestMs = Math.max(this.#longestMs, late)
    if (late >= WORTH_TELLING_MS) this.#tell(late)
  }
}
