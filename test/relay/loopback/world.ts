/**
 * Lanes joined in memory, with no relay between: each address is a LocalLane whose endpoint
 * hands its streams straight to the other lane. The sockets at both ends are real. Used by the
 * tests of this folder; test/relay/loopback/tunnel.slow.test.ts has the real endpoint and relay.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type {
  EndpointEvents,
  IncomingStream,
  LocalSide,
  StreamHandle,
} from '../../../relay/endpoint/types.ts'
import { openJoined } from '../../../relay/loopback/join.ts'
import {
  type LaneEndpoint,
  type LaneEvents,
  type LaneOptions,
  LocalLane,
} from '../../../relay/loopback/lane.ts'
import { systemClock } from '../../../relay/time/clock.ts'

/** What a lane needs and tests do not care for. */
export const quietLog = { warn: () => {} }

/** Addresses that can open streams to each other. */
export class World {
  readonly #incoming = new Map<string, (stream: IncomingStream) => void>()
  readonly #closers: (() => Promise<void> | void)[] = []

  endpoint(address: string, events: EndpointEvents): LaneEndpoint {
    return {
      start: () => {
        this.#incoming.set(address, (stream) => events.incoming(stream))
        events.attached({ url: 'memory', node: 'memory', resumed: 0 })
      },
      open: (to, port, local) => this.#open(address, to, port, local),
      retire: () => {},
      close: async () => {
        this.#incoming.delete(address)
      },
      figures: () => ({
        openStreams: 0,
        tombstones: 0,
        creditOutBytes: 0,
        unackedBytes: 0,
        resumes: 0,
        replayedBytes: 0,
        resets: {},
        peers: new Map(),
      }),
    }
  }

  #open(from: string, to: string, port: number, local: LocalSide): StreamHandle {
    return openJoined(from, to, port, 'bulk', local, (stream) => {
      const incoming = this.#incoming.get(to)
      if (incoming === undefined) stream.reject('unknown')
      else incoming(stream)
    })
  }

  /** A started lane; closed by `end`. */
  async lane(
    options: Partial<LaneOptions> & { address: string },
    events: Partial<LaneEvents> = {},
  ): Promise<LocalLane> {
    const lane = new LocalLane(
      {
        class: 'bulk',
        incarnation: '0123456789abcdef',
        relays: [],
        ports: [],
        serves: [],
        listen: 'wildcard',
        checkUid: false,
        maxPeerListeners: 256,
        limits: {},
        tellsStreams: true,
        ...options,
      },
      {
        attached: () => {},
        detached: () => {},
        failed: () => {},
        streamOpened: () => {},
        control: undefined,
        ...events,
      },
      {
        createEndpoint: (endpointEvents) => this.endpoint(options.address, endpointEvents),
        clock: systemClock,
        log: quietLog,
      },
    )
    this.#closers.push(() => lane.close())
    await lane.start()
    return lane
  }

  /** A server on ::1 whose connections go to `handle`. Answers its port. */
  async server(handle: (socket: Socket) => void, host = '::1'): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, handle)
    await listening(server, host, 0)
    this.#closers.push(() => {
      server.close()
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  }

  async end(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
  }
}

export function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

/** A port that was free on the wildcard address a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await listening(server, '0.0.0.0', 0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  await new Promise((resolve) => server.close(resolve))
  return address.port
}
