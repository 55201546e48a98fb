/**
 * What the main thread and the bulk thread say to each other: life-cycle, figures and token
 * asks, never a byte of a stream. Used by bulk-thread.ts and bulk-worker.ts.
 */

import type { TunnelFailure } from './errors.ts'
import type { LaneFailure, LaneFigures, LaneOptions } from './lane.ts'

/** How the worker is started. */
export interface BulkWorkerData {
  readonly lane: LaneOptions
}

export type ToWorker =
  | { readonly is: 'start' }
  /** The answer to `ask-token` number `ask`. */
  | { readonly is: 'token'; readonly ask: number; readonly token?: string; readonly error?: string }
  | { readonly is: 'figures'; readonly ask: number }
  | { readonly is: 'retire'; readonly address: string; readonly generation: number }
  | { readonly is: 'close' }

export type FromWorker =
  | { readonly is: 'started' }
  | { readonly is: 'not-started'; readonly code: TunnelFailure; readonly message: string }
  | { readonly is: 'ask-token'; readonly ask: number }
  | { readonly is: 'attached'; readonly url: string; readonly node: string; readonly resumed: number }
  | { readonly is: 'detached'; readonly reason: string }
  | { readonly is: 'failed'; readonly failure: LaneFailure }
  | { readonly is: 'stream-opened'; readonly peer: string; readonly port: number }
  | { readonly is: 'figures'; readonly ask: number; readonly figures: LaneFigures }
  | { readonly is: 'warning'; readonly fields: Readonly<Record<string, unknown>>; readonly text: string }
  | { readonly is: 'closed' }
