/**
 * Calls to the outside, made when the table is done with its own change: whoever is called may
 * call back at once and finds a whole table. Used by table.ts.
 */
import type { Logger } from 'pino'

export class Outbox {
  readonly #logger: Logger
  readonly #calls: (() => void)[] = []
  #depth = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  push(call: () => void): void {
    this.#calls.push(call)
  }

  /** Runs `change`, then everything that it and the calls themselves pushed. */
  around<Result>(change: () => Result): Result {
    this.#depth += 1
    try {
      return change()
    } finally {
      if (this.#depth === 1) this.#flush()
      this.#depth -= 1
    }
  }

  #flush(): void {
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) {
      try {
        call()
      } catch (error) {
        // One of ours: the table is whole, so the job goes on.
        this.#logger.error({ err: error }, 'a callback of the table of pods threw')
      }
    }
  }
}
