/**
 * The opener's side of OPEN and RESUME: gives streams their routes, and takes the answers. Only
 * the opener resumes. Driven by endpoint.ts.
 */
import {
  decodeOpened,
  decodeResumed,
  encodeControl,
  encodeResume,
  MAX_BATCH,
  type ResumeEntry,
} from '../wire/control.ts'
import { violation } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import type { Homes } from './homes.ts'
import type { Link } from './link.ts'
import { failStream, type Stream } from './stream.ts'

export class Opener {
  readonly #homes: Homes
  /** Streams that were named in a RESUME. */
  resumes = 0

  constructor(homes: Homes) {
    this.#homes = homes
  }

  /** Opens or resumes what has no route, as far as there is a link for it. */
  route(streams: readonly Stream[]): void {
    const resumable = new Map<string, Stream[]>()
    for (const stream of streams) {
      if (stream.isOver || stream.route.is !== 'down') continue
      const link = this.#homes.linkTo(stream.peer)
      if (link === undefined || !link.isUp) continue
      if (!link.canOpen) {
        stream.die('overloaded')
        continue
      }
      if (stream.generation === 0) sendOpen(stream, link)
      else {
        const key = `${stream.peer} ${stream.peerIncarnation}`
        const group = resumable.get(key)
        if (group === undefined) resumable.set(key, [stream])
        else group.push(stream)
      }
    }
    for (const group of resumable.values()) for (const batch of batches(group)) this.#sendResume(batch)
  }

  /** All of `streams` have one peer. */
  #sendResume(streams: readonly Stream[]): void {
    const [first] = streams
    const link = first && this.#homes.linkTo(first.peer)
    if (first === undefined || link === undefined) return
    const entries = streams.map((stream): ResumeEntry => {
      stream.generation += 1
      const label = link.assignLabel(stream)
      stream.route = { is: 'resuming', link, label }
      return {
        label,
        id: stream.id,
        generation: stream.generation,
        ...stream.receive.restate(),
        // One that was reset meanwhile is to be ended there, not opened: that program would see a stream for nothing.
        port: stream.peerIncarnation === '' && stream.state.is === 'pending' ? stream.port : 0,
      }
    })
    this.resumes += entries.length
    link.sendFrame(encodeResume({ peer: first.peer, incarnation: first.peerIncarnation, entries }))
  }

  handleOpened(link: Link, label: number, limit: number, payload: Buffer): void {
    const stream = link.labels.get(label)
    if (stream === undefined) return // reset or moved meanwhile
    if (stream.route.is !== 'opening') throw violation(`OPENED for label ${label}, which was not opening`)
    stream.routeLive(link, label)
    this.#homes.reached(stream.peer)
    stream.opened(decodeOpened(payload).incarnation, limit)
  }

  handleResumed(link: Link, payload: Buffer): void {
    const resumed = decodeResumed(payload)
    for (const entry of resumed.entries) {
      const stream = link.labels.get(entry.label)
      if (stream === undefined) continue
      if (stream.route.is !== 'resuming' || stream.generation !== entry.generation) {
        throw violation(
          `RESUMED for label ${entry.label}, which was not resuming generation ${entry.generation}`,
        )
      }
      if (entry.status !== 'live') {
        stream.peerForgot(entry.status === 'ended')
        continue
      }
      stream.routeLive(link, entry.label)
      this.#homes.reached(stream.peer)
      try {
        // In this order: a stream that was never opened must not send before it knows from where.
        stream.resumed(entry.received, entry.limit)
        stream.opened(resumed.incarnation, entry.limit)
      } catch (error) {
        failStream(stream, error)
      }
    }
  }
}

function sendOpen(stream: Stream, link: Link): void {
  stream.generation = 1
  const label = link.assignLabel(stream)
  stream.route = { is: 'opening', link, label }
  link.sendFrame(
    encodeControl(FrameType.open, label, stream.receive.limit, {
      to: stream.peer,
      port: stream.port,
      id: stream.id,
    }),
  )
}

/** As many as one frame holds. */
export function batches<T>(all: readonly T[]): T[][] {
  const result: T[][] = []
  for (let at = 0; at < all.length; at += MAX_BATCH) result.push(all.slice(at, at + MAX_BATCH))
  return result
}
