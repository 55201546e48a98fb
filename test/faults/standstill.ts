/**
 * Notices when this process got no turn for a while though it asked for one. It does next to nothing itself, so
 * that then the machine stood still, or was more than full: what stalled meanwhile says little of relays. What
 * the process itself computed in that time is not counted. Used by soak.ts and by the fleets of test/helper/.
 */

const LOOK_MS = 100
/** A pause that a full machine makes now and then, ms. */
const WORTH_TELLING_MS = 500

export class StandstillWatch {
  readonly #tell: (ms: number) => void
  readonly #timer: NodeJS.Timeout
  #lookedMs = performance.now()
  #cpu = process.cpuUsage()
  #longestMs = 0

  /** `tell`: how long each standstill of half a second or more was, ms, when it is over. */
  constructor(tell: (ms: number) => void = () => {}) {
    this.#tell = tell
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  /** ms. */
  get longestMs(): number {
    return this.#longestMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    const { user, system } = process.cpuUsage(this.#cpu)
    const late = now - this.#lookedMs - Math.max(LOOK_MS, (user + system) / 1_000)
    this.#lookedMs = now
    this.#cpu = process.cpuUsage()
    this.#longestMs = Math.max(this.#longestMs, late)
    if (late >= WORTH_TELLING_MS) this.#tell(late)
  }
}
