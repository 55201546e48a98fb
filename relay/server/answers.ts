/**
 * What a relay says to an endpoint that asked for an address that it cannot be joined with here:
 * RESET, or MOVED. Used by asks, joining and residents.
 */
import type { Lease } from '../directory/directory.ts'
import { encodeMoved, encodeSignal } from '../wire/control.ts'
import { type ResetReason, resetReasons } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import { batches, groupBy } from './batches.ts'
import type { RelayMetrics } from './metrics.ts'
import type { RelayLink } from './relay-link.ts'
import type { RouteEnd } from './route.ts'

export class Answers {
  readonly #metrics: RelayMetrics

  constructor(metrics: RelayMetrics) {
    this.#metrics = metrics
  }

  refuseAll(ends: readonly RouteEnd[], reason: ResetReason): void {
    for (const end of ends) {
      end.ask = undefined
      end.link.closeEnd(end)
      this.#metrics.resets[reason] += 1
      end.link.send(encodeSignal(FrameType.reset, end.label, resetReasons[reason]))
    }
  }

  redirect(to: string, ends: readonly RouteEnd[], lease: Pick<Lease, 'node' | 'urls' | 'epoch'>): void {
    const byLink = groupBy(ends, (end) => end.link)
    for (const [link, group] of byLink) {
      for (const end of group) {
        end.ask = undefined
        link.closeEnd(end)
      }
      this.pointTo(link, to, group, lease)
    }
  }

  /** MOVED for `ends`, which are closed by it; for none it is only a hint. */
  pointTo(
    link: RelayLink,
    to: string,
    ends: readonly RouteEnd[],
    { node, urls, epoch }: Pick<Lease, 'node' | 'urls' | 'epoch'>,
  ): void {
    const labels = ends.map((end) => end.label)
    for (const batch of labels.length === 0 ? [labels] : batches(labels)) {
      this.#metrics.redirects += 1
      link.send(encodeMoved({ to, node, urls, epoch, labels: batch }))
    }
  }
}
