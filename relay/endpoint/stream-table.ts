/**
 * The streams of an endpoint, those that it opened and those that it accepted, and how those
 * ended that it accepted before. Used by endpoint.ts, opener.ts and acceptor.ts.
 */
import type { Stream } from './stream.ts'
import { Tombstones } from './tombstones.ts'

export class StreamTable {
  readonly opened = new Map<number, Stream>()
  /** By `acceptedKey`. */
  readonly accepted = new Map<string, Stream>()
  readonly tombstones: Tombstones

  /** `tombstoneMs`: how long it is remembered that a stream has ended. */
  constructor(tombstoneMs: number) {
    this.tombstones = new Tombstones(tombstoneMs)
  }

  get size(): number {
    return this.opened.size + this.accepted.size
  }

  *all(): Generator<Stream> {
    yield* this.opened.values()
    yield* this.accepted.values()
  }

  /** The stream is over. `nowMs`: by the clock that tombstones are swept by. */
  bury(stream: Stream, nowMs: number): void {
    if (stream.isOpener) {
      this.opened.delete(stream.id)
      return
    }
    const key = acceptedKey(stream.peer, stream.peerIncarnation, stream.id)
    this.accepted.delete(key)
    this.tombstones.add(stream.peer, key, stream.endedCleanly, nowMs)
  }
}

/** What names an accepted stream for ever. */
export function acceptedKey(opener: string, incarnation: string, id: number): string {
  return `${opener} ${incarnation} ${id}`
}
