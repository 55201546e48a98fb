/**
 * The acceptor's side of OPEN and RESUME: makes streams of them, and answers once the program
 * behind has said yes. Driven by endpoint.ts.
 */
import {
  decodeIncoming,
  decodeResume,
  encodeControl,
  encodeResumed,
  encodeWatch,
  type ResumedEntry,
  type ResumeEntry,
} from '../wire/control.ts'
import { type ResetReason, resetReasons } from '../wire/errors.ts'
import { FrameType } from '../wire/header.ts'
import type { Link } from './link.ts'
import { batches } from './opener.ts'
import { failStream, type Stream, type StreamIdentity } from './stream.ts'
import { acceptedKey, type StreamTable } from './stream-table.ts'
import type { IncomingStream } from './types.ts'

/** What an acceptor needs of its endpoint. */
export interface AcceptorHost {
  readonly incarnation: string
  /** Makes a stream with `limit` of credit. */
  makeStream(identity: StreamIdentity, limit: number): Stream
  /** Why no stream is taken now; undefined: it is. */
  readonly refusal: ResetReason | undefined
  incoming(stream: IncomingStream): void
}

/** What came for a stream that is not known yet. */
interface Arrival {
  readonly from: string
  readonly incarnation: string
  readonly id: number
  readonly port: number
  readonly generation: number
  readonly owes: 'opened' | 'resumed'
  readonly limit: number
}

export class Acceptor {
  readonly #host: AcceptorHost
  readonly #table: StreamTable
  /** Streams that went on over a new route. */
  resumes = 0

  constructor(host: AcceptorHost, table: StreamTable) {
    this.#host = host
    this.#table = table
  }

  handleOpen(link: Link, label: number, limit: number, payload: Buffer): void {
    link.noteRemoteLabel(label)
    const open = decodeIncoming(payload)
    const key = acceptedKey(open.from, open.incarnation, open.id)
    if (this.#table.accepted.has(key) || this.#table.tombstones.has(open.from, key)) {
      // A RESUME overtook it, over another relay: its opener has left this route.
      return link.sendSignal(FrameType.reset, label, resetReasons.lost)
    }
    this.#arrive(link, label, { ...open, generation: 1, owes: 'opened', limit })
  }

  #arrive(link: Link, label: number, arrival: Arrival): void {
    const { from, incarnation, id, port, generation, owes, limit } = arrival
    const stream = this.#host.makeStream({ isOpener: false, id, peer: from, port }, limit)
    stream.peerIncarnation = incarnation
    stream.generation = generation
    stream.owes = owes
    stream.routeLive(link, label)
    link.bindLabel(label, stream)
    this.#table.accepted.set(acceptedKey(from, incarnation, id), stream)
    const { refusal } = this.#host
    if (refusal !== undefined) stream.reset(refusal)
    else this.#host.incoming(this.#incoming(stream))
  }

  #incoming(stream: Stream): IncomingStream {
    return {
      peer: stream.peer,
      port: stream.port,
      get isOver() {
        return stream.state.is !== 'pending'
      },
      accept: (local) => {
        if (stream.state.is !== 'pending') {
          local.reset('aborted')
          return stream
        }
        stream.accept(local)
        this.#answer(stream)
        return stream
      },
      reject: (reason) => stream.reset(reason),
    }
  }

  /** Tells the opener that its stream is there. With no route, its RESUME will ask. */
  #answer(stream: Stream): void {
    if (stream.route.is !== 'live') return
    const { link, label } = stream.route
    const { incarnation } = this.#host
    if (stream.owes === 'opened') {
      link.sendFrame(encodeControl(FrameType.opened, label, stream.receive.limit, { incarnation }))
    } else if (stream.owes === 'resumed') {
      link.sendFrame(encodeResumed({ incarnation, entries: [liveEntry(stream, label)] }))
    }
    stream.owes = 'nothing'
    stream.schedule()
  }

  handleResume(link: Link, payload: Buffer): void {
    const resume = decodeResume(payload)
    const answers: ResumedEntry[] = []
    const live: [Stream, ResumeEntry][] = []
    for (const entry of resume.entries) {
      link.noteRemoteLabel(entry.label)
      const key = acceptedKey(resume.peer, resume.incarnation, entry.id)
      const stream = this.#table.accepted.get(key)
      if (stream === undefined) {
        const { tombstones } = this.#table
        if (entry.port !== 0 && !tombstones.has(resume.peer, key)) {
          const { peer: from, incarnation } = resume
          this.#arrive(link, entry.label, { ...entry, from, incarnation, owes: 'resumed' })
        } else answers.push(forgottenEntry(entry, tombstones.wasClean(resume.peer, key)))
        continue
      }
      if (entry.generation <= stream.generation) {
        answers.push(forgottenEntry(entry, false)) // an older try that came late; its opener has retired this label
        continue
      }
      retireRoute(stream)
      stream.generation = entry.generation
      if (stream.state.is === 'pending') {
        stream.owes = 'resumed'
        goOnBy(link, stream, entry)
        continue
      }
      stream.owes = 'nothing'
      answers.push(liveEntry(stream, entry.label))
      live.push([stream, entry])
    }
    this.resumes += live.length
    // Before any stream speaks on its new route, its opener must know where it stands; and it has none
    // before it knows itself: an old turn of it in the link's queue would come when another one speaks.
    if (answers.length > 0) {
      link.sendFrame(encodeResumed({ incarnation: this.#host.incarnation, entries: answers }))
    }
    for (const [stream, entry] of live) goOnBy(link, stream, entry)
  }

  /** Asks to be told when openers that left streams behind are given up. */
  watchOrphans(link: Link): void {
    const peers = new Map<string, { address: string; incarnation: string }>()
    for (const stream of this.#table.accepted.values()) {
      if (stream.route.is !== 'down') continue
      const peer = { address: stream.peer, incarnation: stream.peerIncarnation }
      peers.set(`${peer.address} ${peer.incarnation}`, peer)
    }
    for (const batch of batches([...peers.values()])) link.sendFrame(encodeWatch({ peers: batch }))
  }
}

/**
 * The stream has a new route, and goes on from what its opener has. One that is still to be accepted has
 * sent nothing: it only learns what its credit is now.
 */
function goOnBy(link: Link, stream: Stream, { label, received, limit }: ResumeEntry): void {
  stream.routeLive(link, label)
  link.bindLabel(label, stream)
  try {
    if (stream.state.is === 'pending') stream.send_.resumeFrom(received, limit)
    else stream.resumed(received, limit)
  } catch (error) {
    failStream(stream, error)
  }
}

/** What still comes over the route that the stream has had is dropped. */
function retireRoute(stream: Stream): void {
  const { route } = stream
  if (route.is === 'down' || route.is === 'ended') return
  route.link.closeLabel(route.label)
  stream.routeLost()
}

function liveEntry(stream: Stream, label: number): ResumedEntry {
  return { label, generation: stream.generation, status: 'live', ...stream.receive.restate() }
}

function forgottenEntry({ label, generation }: ResumeEntry, wasClean: boolean): ResumedEntry {
  return { label, generation, status: wasClean ? 'ended' : 'lost', received: 0, limit: 0 }
}
