/** What a test says to a party (party-main.ts), and what it answers, over the channel of fork(). */
import type { EndpointLimits } from '../../relay/endpoint/index.ts'
import type { StreamReport } from './checked-stream.ts'

export type TrafficClass = 'urgent' | 'bulk'

export interface PartySetup {
  readonly address: string
  readonly token: string
  readonly relays: readonly string[]
  readonly limits: Partial<EndpointLimits>
  /** A turn of every stream each so many ms. */
  readonly tickMs: number
  readonly chunkBytes: Readonly<Record<TrafficClass, number>>
}

export type ToParty =
  | { readonly do: 'start'; readonly setup: PartySetup }
  | {
      readonly do: 'open'
      readonly to: string
      readonly class: TrafficClass
      readonly tags: readonly number[]
    }
  | { readonly do: 'mark' }
  | { readonly do: 'report' }
  | { readonly do: 'weigh' }
  | { readonly do: 'freeze' | 'thaw' }
  | { readonly do: 'finish' }
  | { readonly do: 'retire'; readonly address: string; readonly generation: number }
  | { readonly do: 'close' }

export interface PartyReport {
  readonly is: 'report'
  readonly streams: readonly StreamReport[]
  readonly openStreams: number
  readonly resumes: number
  readonly replayedBytes: number
  readonly rssBytes: number
  /** Local port of the home link when it is TCP, and where it goes, a class. */
  readonly homes: Readonly<
    Partial<Record<TrafficClass, { readonly url: string; readonly localPort: number }>>
  >
}

/** What a party holds after a collection, bytes. */
export interface Weight {
  readonly is: 'weight'
  readonly heapBytes: number
  /** Buffers, and what else lives outside of V8's heap. */
  readonly externalBytes: number
  /** Of the process: with what its allocators keep. */
  readonly rssBytes: number
}

export type FromParty =
  | { readonly is: 'ready' }
  | { readonly is: 'attached'; readonly class: TrafficClass; readonly url: string; readonly node: string }
  | { readonly is: 'detached'; readonly class: TrafficClass; readonly reason: string }
  | { readonly is: 'failed'; readonly class: TrafficClass; readonly sentence: string }
  /** All streams that were to finish are over. */
  | { readonly is: 'quiet' }
  | { readonly is: 'over'; readonly tag: number | undefined; readonly state: string; readonly peer: string }
  | { readonly is: 'closed' }
  | Weight
  | PartyReport
