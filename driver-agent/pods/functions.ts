/**
 * The functions that are alive, each with the pod it was started for. One outlives its pod for a
 * moment: when its JVM has ended, or when the pod failed and the function is being killed.
 * Used by lives.ts and table.ts.
 */
import type { Clock, Timer } from '../../relay/time/clock.ts'
import type { Pod } from './pod.ts'

interface Alive {
  readonly pod: Pod
  linger: Timer | undefined
}

export class FunctionsAlive {
  readonly #byUid = new Map<string, Alive>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#byUid.size
  }

  has(uid: string): boolean {
    return this.#byUid.has(uid)
  }

  add(pod: Pod): void {
    this.#byUid.set(pod.uid, { pod, linger: undefined })
  }

  /** Its end was told. Returns the pod; undefined when it is not alive (an end told twice). */
  take(uid: string): Pod | undefined {
    const alive = this.#byUid.get(uid)
    alive?.linger?.cancel()
    this.#byUid.delete(uid)
    return alive?.pod
  }

  /** Calls `late` if the function is still alive in `lingerMs`. */
  expectEnd(uid: string, lingerMs: number, late: () => void): void {
    const alive = this.#byUid.get(uid)
    if (alive === undefined) return
    alive.linger?.cancel()
    alive.linger = this.#clock.after(lingerMs, late)
  }

  /** All but draining ones, whose replacements must find room. */
  get busy(): number {
    let busy = 0
    for (const { pod } of this.#byUid.values()) if (pod.state.is !== 'draining') busy += 1
    return busy
  }

  close(): void {
    for (const { linger } of this.#byUid.values()) linger?.cancel()
  }
}
