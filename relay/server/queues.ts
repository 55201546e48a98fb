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
    for (const link of this.#context.links) {
      const { queuedBytes } = link.pipe
      if (queuedBytes > this.capBytes) this.closeOverlong(link)
      else total += queuedBytes
    }
    if (total > this.#context.limits.relayQueueBytes) this.#shed(total)
  }

  /** Closes whoever has most, and the next, until the relay holds what it may. */
  #shed(total: number): void {
    const { relayQueueBytes } = this.#context.limits
    // What others have queued is not for each to hear.
    const cause = new Error(`the relay holds ${total} bytes, ${relayQueueBytes} are allowed (--relay-queue)`)
    const links = [...this.#context.links].sort((a, b) => b.pipe.queuedBytes - a.pipe.queuedBytes)
    let left = total
    for (const link of links) {
      if (left <= relayQueueBytes) return
      left -= link.pipe.queuedBytes
      link.close(new RelayError('overloaded', 'the relay holds too much for slow links', { cause }))
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
