/**
 * What may wait for slow links: a cap for each, and one for all. Used by node.ts and relay-link.ts.
 */
import { RelayError } from '../wire/errors.ts'
import type { NodeContext } from './node-context.ts'
import type { RelayLink } from './relay-link.ts'

export class Queues {
  readonly #context: NodeContext

  constructor(context: NodeContext) {
    this.#context = context
  }

  /** Whoever lets more pile up than it was told is closed; over the relay's own limit, whoever has most. */
  check(): void {
    let total = 0
    let longest: RelayLink | undefined
    for (const link of this.#context.links) {
      const { queuedBytes } = link.pipe
      total += queuedBytes
      if (queuedBytes > (longest?.pipe.queuedBytes ?? 0)) longest = link
      if (queuedBytes > this.capBytes) this.closeOverlong(link)
    }
    if (total > this.#context.limits.relayQueueBytes && longest !== undefined) {
      longest.close(
        new RelayError(
          'overloaded',
          `the relay holds ${total} bytes, ${this.#context.limits.relayQueueBytes} are allowed`,
        ),
      )
    }
  }

  /** The announced cap is for payload; headers and control frames come on top. */
  get capBytes(): number {
    return this.#context.limits.linkQueueBytes * 1.25 + 1_048_576
  }

  /** It granted its peers more than it was told, and does not read. */
  closeOverlong(link: RelayLink): void {
    const { queuedBytes } = link.pipe
    link.close(
      new RelayError(
        'overloaded',
        `${queuedBytes} bytes are queued, ${this.#context.limits.linkQueueBytes} are allowed`,
      ),
    )
  }
}
