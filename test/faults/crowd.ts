/** Parties that all have checked streams to each other, and what these must have been in the end. */
import { endpointBounds } from '../../relay/endpoint/index.ts'
import type { StreamReport } from './checked-stream.ts'
import type { Fleet } from './fleet.ts'
import { Party } from './party.ts'
import type { PartySetup, TrafficClass } from './party-messages.ts'

export interface CrowdOptions {
  readonly parties: number
  /** Words before the node of party `index`. */
  readonly under?: (index: number) => readonly string[]
  /** Called when the process of party `index` is there and has not dialled yet. */
  readonly prepare?: (party: Party, index: number) => Promise<void>
  readonly relays?: (index: number) => readonly string[]
  readonly chunkBytes?: PartySetup['chunkBytes']
  readonly tickMs?: number
  readonly limits?: PartySetup['limits']
}

/** What all streams of a crowd were, once finished. */
export interface Outcome {
  readonly streams: number
  readonly bytes: number
  /** Sentences about streams that were not as they must; empty: every byte arrived once and in order. */
  readonly faults: readonly string[]
}

export class Crowd {
  readonly fleet: Fleet
  readonly parties: Party[] = []
  readonly #options: CrowdOptions
  #nextTag = 1

  private constructor(fleet: Fleet, options: CrowdOptions) {
    this.fleet = fleet
    this.#options = options
  }

  /** Settles when all are attached with both classes. */
  static async start(fleet: Fleet, options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(fleet, options)
    try {
      await Promise.all(Array.from({ length: options.parties }, (_, index) => crowd.add(index)))
      await Promise.all(crowd.parties.map((party) => party.attached()))
    } catch (error) {
      await crowd.end()
      throw error
    }
    return crowd
  }

  /** Another one; it may not be attached yet. */
  async add(
    index: number,
    role: 'driver' | 'executor' = index === 0 ? 'driver' : 'executor',
  ): Promise<Party> {
    const { fleet } = this
    const address = `127.64.0.${index + 1}`
    const party = await Party.spawn(address, this.#options.under?.(index))
    this.parties[index] = party
    await this.#options.prepare?.(party, index)
    const { silenceMs, keepaliveMs } = fleet.times
    party.start({
      address,
      token: await fleet.token(address, role),
      relays: this.#options.relays?.(index) ?? fleet.urls,
      // Short times shorten this too: a dial to a hung relay must not outlast the grace of the dialler.
      limits: {
        silenceMs,
        keepaliveMs,
        handshakeMs: Math.min(endpointBounds.handshakeMs[0], silenceMs),
        ...this.#options.limits,
      },
      tickMs: this.#options.tickMs ?? 20,
      chunkBytes: this.#options.chunkBytes ?? { urgent: 256, bulk: 2 * 1024 },
    })
    return party
  }

  party(index: number): Party {
    const found = this.parties[index]
    if (found === undefined) throw new Error(`there is no party ${index}`)
    return found
  }

  open(from: number, to: number, trafficClass: TrafficClass, count: number): void {
    const tags = Array.from({ length: count }, () => this.#nextTag++)
    this.party(from).tell({ do: 'open', to: this.party(to).address, class: trafficClass, tags })
  }

  /** Streams between any two: who opens alternates. Settles when bytes went both ways over each. */
  async mesh(count: Readonly<Record<TrafficClass, number>>): Promise<void> {
    for (let one = 0; one < this.parties.length; one++) {
      for (let other = one + 1; other < this.parties.length; other++) {
        const [from, to] = (one + other) % 2 === 0 ? [one, other] : [other, one]
        this.open(from, to, 'bulk', count.bulk)
        this.open(from, to, 'urgent', count.urgent)
      }
    }
    await this.untilFlowing()
  }

  async untilFlowing(withinMs = 20_000): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const streams = await this.streams()
      const waiting = streams.filter(({ received }) => received === 0)
      const expected = 2 * (this.#nextTag - 1)
      if (waiting.length === 0 && streams.length >= expected) return
      if (performance.now() > deadline) {
        throw new Error(
          `${waiting.length} of ${streams.length} (${expected}) ends got no byte within ${withinMs} ms: ${JSON.stringify(waiting[0])}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  get living(): Party[] {
    return this.parties.filter((party) => party !== undefined && !party.isEnded)
  }

  async streams(): Promise<StreamReport[]> {
    const reports = await Promise.all(this.living.map((party) => party.report()))
    return reports.flatMap((report) => report.streams)
  }

  /** Stalls are measured from now on. */
  mark(): void {
    for (const party of this.living) party.tell({ do: 'mark' })
  }

  /** The longest time without a byte since the mark, of each direction of each stream, sorted. */
  async stalls(): Promise<number[]> {
    return (await this.streams()).map(({ stallMs }) => stallMs).sort((a, b) => a - b)
  }

  /** Lets all streams finish, and compares both ends of each. `mayReset`: streams that need not have come to their end. */
  async finish(
    withinMs = 60_000,
    mayReset: (stream: StreamReport) => boolean = () => false,
  ): Promise<Outcome> {
    for (const party of this.living) party.tell({ do: 'finish' })
    const ends = (await Promise.all(this.living.map((party) => party.quiet(withinMs)))).flat()
    const byTag = new Map<number | undefined, StreamReport[]>()
    for (const end of ends) byTag.set(end.tag, [...(byTag.get(end.tag) ?? []), end])
    const faults: string[] = []
    let bytes = 0
    for (const [tag, pair] of byTag) {
      for (const end of pair) {
        bytes += end.received
        if (end.wrongAt !== undefined)
          faults.push(
            `stream ${tag}: a wrong byte at or after ${end.wrongAt} at the ${end.isOpener ? 'opener' : 'acceptor'}`,
          )
      }
      if (pair.some(mayReset)) continue
      faults.push(...faultsOf(tag, pair))
    }
    return { streams: byTag.size, bytes, faults }
  }

  async end(): Promise<void> {
    await Promise.all(this.parties.map((party) => party?.end()))
  }
}

function faultsOf(tag: number | undefined, pair: readonly StreamReport[]): string[] {
  const opener = pair.find(({ isOpener }) => isOpener)
  const acceptor = pair.find(({ isOpener }) => !isOpener)
  if (pair.length !== 2 || opener === undefined || acceptor === undefined)
    return [`stream ${tag} has ${pair.length} ends: ${pair.map(({ state }) => state).join(', ')}`]
  const faults: string[] = []
  for (const end of pair) if (end.state !== 'closed') faults.push(`stream ${tag} ended as ${end.state}`)
  for (const [from, to] of [
    [opener, acceptor],
    [acceptor, opener],
  ] as const) {
    if (from.sent !== to.received)
      faults.push(`stream ${tag}: ${from.sent} bytes sent, ${to.received} received`)
    else if (from.sentSha !== to.receivedSha)
      faults.push(`stream ${tag}: SHA-256 ${from.sentSha} sent, ${to.receivedSha} received`)
  }
  return faults
}
