/**
 * A real front with a listener, and whoever accepts its links replaced by a queue: pairs of
 * pipes over real sockets. Everything started here ends with `stop`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPipeDialer, type SocketDialer } from '../../relay/pipe/dial.ts'
import type { Pausable, Pipe, PipeEvents } from '../../relay/pipe/pipe.ts'
import { type Slab, SlabPool } from '../../relay/pipe/slab.ts'
import { Front, type FrontOptions } from '../../relay/server/front.ts'
import { type Listener, listen } from '../../relay/server/listen.ts'
import { RelayMetrics } from '../../relay/server/metrics.ts'
import { systemClock } from '../../relay/time/clock.ts'
import type { TestCertificates } from './certificates.ts'

export type Transport = 'tcp' | 'unix' | 'tls' | 'ws' | 'wss'

export interface PipeWorldOptions {
  readonly transport: Transport
  readonly certificates?: TestCertificates
  readonly limits?: Partial<FrontOptions['limits']>
  /** Demand TLS as for an address that other machines reach. */
  readonly host?: string
}

export interface PipeWorld {
  readonly url: string
  readonly port: number
  readonly listener: Listener
  readonly metrics: RelayMetrics
  /** Of the accepting side's read buffers. */
  readonly serverPool: SlabPool
  readonly clientPool: SlabPool
  readonly dialer: SocketDialer
  /** The next pipe that comes in, with its remote. */
  nextAccepted(): Promise<Arrived>
  /** Both ends of one link. */
  pair(): Promise<{ readonly dialled: Pipe & Pausable; readonly accepted: Pipe }>
  stop(): Promise<void>
}

interface Arrived {
  readonly pipe: Pipe
  readonly remote: string
}

export const neverAborted = new AbortController().signal

export async function startPipeWorld(options: PipeWorldOptions): Promise<PipeWorld> {
  const { transport, certificates } = options
  const arrived: Arrived[] = []
  const waiting: ((one: Arrived) => void)[] = []
  const metrics = new RelayMetrics()
  const serverPool = new SlabPool(64 * 1024, 4)
  const clientPool = new SlabPool(64 * 1024, 4)
  const front = new Front({
    node: {
      accept(pipe, remote) {
        const wake = waiting.shift()
        if (wake === undefined) arrived.push({ pipe, remote })
        else wake({ pipe, remote })
      },
    },
    http: { isReady: () => true, scrape: async () => ({ text: 'figures\n', contentType: 'text/plain' }) },
    metrics,
    clock: systemClock,
    limits: {
      handshakeMs: 5_000,
      maxUnauthenticated: 1_000,
      maxUnauthenticatedPerRemote: 500,
      ...options.limits,
    },
    pool: serverPool,
    tls: certificates,
  })
  const dir = mkdtempSync(join(tmpdir(), 'slr-pipe-'))
  const listener = await listen(
    transport === 'unix'
      ? { is: 'unix', path: join(dir, 'relay.sock') }
      : { is: 'tcp', host: options.host ?? '127.0.0.1', port: 0 },
    { front, hasTls: certificates !== undefined, isPlainAllowed: false, servesMetricsLocally: true },
  )
  const dialer = createPipeDialer({ tlsCaFile: certificates?.caFile, pool: clientPool })
  const url = transport === 'unix' ? listener.url : `${transport}://127.0.0.1:${listener.port}`
  const pipes: Pipe[] = []
  const world: PipeWorld = {
    url,
    port: listener.port ?? 0,
    listener,
    metrics,
    serverPool,
    clientPool,
    dialer,
    nextAccepted: async () => {
      const one = arrived.shift() ?? (await new Promise<Arrived>((resolve) => waiting.push(resolve)))
      pipes.push(one.pipe)
      return one
    },
    pair: async () => {
      const [dialled, { pipe: accepted }] = await Promise.all([
        dialer.dial(url, neverAborted),
        world.nextAccepted(),
      ])
      pipes.push(dialled)
      return { dialled, accepted }
    },
    stop: async () => {
      for (const pipe of pipes) pipe.destroy()
      front.close()
      await listener.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return world
}

/** Takes what a pipe brings, and lets a test wait for it. */
export class PipeRecorder implements PipeEvents {
  readonly chunks: Buffer[] = []
  bytes = 0
  reads = 0
  drains = 0
  closes = 0
  error: Error | undefined
  readonly #wakes = new Set<() => void>()
  onData: ((slab: Slab, start: number, end: number) => void) | undefined

  data(slab: Slab, start: number, end: number): void {
    this.bytes += end - start
    this.reads += 1
    if (this.onData === undefined) this.chunks.push(Buffer.from(slab.bytes.subarray(start, end)))
    else this.onData(slab, start, end)
    this.#wake()
  }

  drained(): void {
    this.drains += 1
    this.#wake()
  }

  closed(reason: Error | undefined): void {
    this.closes += 1
    this.error = reason
    this.#wake()
  }

  get all(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** Settles when `condition` holds after an event; the test's time-out is the limit. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return
        this.#wakes.delete(look)
        resolve()
      }
      this.#wakes.add(look)
      look()
    })
  }

  #wake(): void {
    for (const look of [...this.#wakes]) look()
  }
}
