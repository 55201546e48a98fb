/**
 * A watch: newline-delimited JSON over a response that never ends by itself. A reader that
 * does not keep up is cut off, and comes back with its last resource version: the table of
 * pods tells it the rest, so nothing is lost by it. Used by pods-routes.ts.
 */
import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Clock } from '../../relay/time/clock.ts'
import type { PodSelector, Pods } from '../pods/index.ts'

/** About 4,000 events. */
const LONGEST_BACKLOG_BYTES = 16 * 1024 * 1024

export interface WatchRequest {
  readonly pods: Pods
  readonly selector: PodSelector
  readonly resourceVersion: string | undefined
  /** The client's `timeoutSeconds`, as ms; undefined: no end. */
  readonly timeoutMs: number | undefined
  readonly response: ServerResponse
  readonly clock: Clock
  readonly logger: Logger
}

export function streamWatch({
  pods,
  selector,
  resourceVersion,
  timeoutMs,
  response,
  clock,
  logger,
}: WatchRequest): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' })
  // Spark waits for the headers before it posts its first pod.
  response.flushHeaders()
  const unwatch = pods.watch(selector, resourceVersion, (event) => {
    if (response.destroyed) return
    response.write(`${JSON.stringify(event)}\n`)
    if (response.writableLength > LONGEST_BACKLOG_BYTES) {
      logger.warn({ backlogBytes: response.writableLength }, 'a watch does not keep up: cut off')
      response.destroy()
    }
  })
  const timeout = timeoutMs === undefined ? undefined : clock.after(timeoutMs, () => response.end())
  response.once('close', () => {
    timeout?.cancel()
    unwatch()
  })
}
