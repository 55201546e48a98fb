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

  /**
   * Whoever lets more pile up than it was told is closed; over the relay's own limit, links of the application that has
   * most: with 18 links of one token, each a little below another's only one, it would be that one's instead.
   */
  check(): void {
    let total = 0
    for (const link of this.#context.links) {
      const { queuedBytes } = link.pipe
      if (queuedBytes > this.capBytes) this.closeOverlong(link)
      else total += queuedBytes
    }
    if (total > this.#context.limits.relayQueueBytes) this.#shed(total)
  }

  /** Of the application that has most its fullest link, and the next, until the relay holds what it may. */
  #shed(total: number): void {
    const { relayQueueBytes } = this.#context.limits
    // What others have queued is not for each to hear.
    const cause = new Error(`the relay holds ${total} bytes, ${relayQueueBytes} are allowed (--relay-queue)`)
    const links = [...this.#context.links]
      .filter((link) => link.isUp)
      .sort((a, b) => a.pipe.queuedBytes - b.pipe.queuedBytes)
    const holders = [...Map.groupBy(links, (link) => link.who.app).values()].map((own) => ({
      own,
      bytes: own.reduce((sum, link) => sum + link.pipe.queuedBytes, 0),
    }))
    for (let left = total; left > relayQueueBytes; ) {
      const most = holders.reduce((a, b) => (b.bytes > a.bytes ? b : a), { own: [] as RelayLink[], bytes: 0 })
      const link = most.own.pop()
      if (link === undefined) return
      const { queuedBytes } = link.pipe
      left -= queuedBytes
      most.bytes -= queuedBytes
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
