/**
 * How many functions may be asked for now, and when it is hopeless to ask for more. Pure
 * counting. Used by table.ts.
 */
export class Slots {
  readonly #maxExecutors: number
  /** Failed starts in a row that end the job. */
  readonly hopelessAt: number
  #failedInRow = 0
  #anyRegistered = false

  constructor(options: { maxExecutors: number; instances: number }) {
    this.#maxExecutors = options.maxExecutors
    this.hopelessAt = Math.min(20, Math.max(3, 2 * options.instances))
  }

  registered(): void {
    this.#failedInRow = 0
    this.#anyRegistered = true
  }

  failed(): void {
    this.#failedInRow += 1
  }

  get hopeless(): boolean {
    return this.#failedInRow >= this.hopelessAt
  }

  /**
   * Whether one more function may be asked for. `alive`: functions that are there or asked for,
   * draining ones aside (their replacements must find room); `starting`: those of them that have not
   * reached the driver. Until the first one has, no more start than may fail: a broken image then
   * costs `hopelessAt` functions, not a batch of a hundred.
   */
  hasRoom(alive: number, starting: number): boolean {
    if (this.hopeless || alive >= this.#maxExecutors) return false
    return this.#anyRegistered || starting + this.#failedInRow < this.hopelessAt
  }
}
