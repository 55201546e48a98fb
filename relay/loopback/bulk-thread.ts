/**
 * The bulk lane as the main thread sees it: a worker thread that runs it, and the messages
 * between them. Used by tunnel.ts.
 */
import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'
import type { BulkWorkerData, FromWorker, ToWorker } from './bulk-messages.ts'
import { TunnelError } from './errors.ts'
import type { Lane, LaneEvents, LaneFigures, LaneOptions } from './lane.ts'
import type { TokenSource } from './tunnel-types.ts'

/** `.ts` in the checkout, `.js` in a bundle, where all files lie in one folder. */
const entry = new URL(
  import.meta.url.endsWith('.ts') ? './bulk-worker.ts' : './bulk-worker.js',
  import.meta.url,
)
/** close() waits this long beyond the lane's own limit before it ends the thread, ms. */
const CLOSE_SPARE_MS = 2_000

/**
 * Where V8 makes new objects, MiB. Left alone it doubles that space with every few hundred streams and
 * keeps it: with 2,000 idle ones 10.4 KiB each were resident instead of 5, and bulk-16 costs the same.
 */
const YOUNG_MIB = 4

export class BulkThread implements Lane {
  readonly #options: LaneOptions
  readonly #token: TokenSource
  readonly #events: LaneEvents
  readonly #log: Pick<Logger, 'warn'>
  readonly #worker: Worker
  #asks = 0
  readonly #figureAsks = new Map<number, (figures: LaneFigures) => void>()
  readonly #started = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<void>()
  /** What was known when the thread ended. */
  #lastFigures: LaneFigures = {
    peers: [],
    openStreams: 0,
    resumes: 0,
    resets: {},
    foreignConnections: 0,
  }
  #state: 'running' | 'closing' | 'over' = 'running'

  constructor(options: LaneOptions, token: TokenSource, events: LaneEvents, log: Pick<Logger, 'warn'>) {
    this.#options = options
    this.#token = token
    this.#events = events
    this.#log = log
    this.#started.promise.catch(() => {}) // start() hands it on; without start nobody asks
    this.#worker = new Worker(entry, {
      name: 'bulk',
      workerData: { lane: options } satisfies BulkWorkerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    this.#worker.on('message', (message: FromWorker) => this.#handle(message))
    this.#worker.on('error', (error) => this.#handleDeath(error.message))
    this.#worker.on('exit', (code) => this.#handleDeath(`it exited with code ${code}`))
  }

  start(): Promise<void> {
    this.#say({ is: 'start' })
    return this.#started.promise
  }

  figures(): Promise<LaneFigures> {
    if (this.#state === 'over') return Promise.resolve(this.#lastFigures)
    this.#asks += 1
    const ask = this.#asks
    this.#say({ is: 'figures', ask })
    return new Promise((resolve) => this.#figureAsks.set(ask, resolve))
  }

  retire(address: string, generation: number): void {
    this.#say({ is: 'retire', address, generation })
  }

  async close(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'closing'
      const goodbyeMs = this.#options.limits.goodbyeMs ?? 10_000
      const timer = setTimeout(() => void this.#worker.terminate(), goodbyeMs + CLOSE_SPARE_MS)
      await this.figures() // kept for those who ask afterwards
      this.#say({ is: 'close' })
      await this.#closed.promise
      clearTimeout(timer)
    }
    await this.#closed.promise
  }

  #say(message: ToWorker): void {
    if (this.#state !== 'over') this.#worker.postMessage(message)
  }

  #handle(message: FromWorker): void {
    switch (message.is) {
      case 'started':
        this.#started.resolve()
        break
      case 'not-started':
        this.#started.reject(new TunnelError(message.code, message.message))
        break
      case 'ask-token':
        void this.#answerToken(message.ask)
        break
      case 'attached':
        this.#events.attached(message)
        break
      case 'detached':
        this.#events.detached(message.reason)
        break
      case 'failed':
        this.#events.failed(message.failure)
        break
      case 'stream-opened':
        this.#events.streamOpened(message.peer, message.port)
        break
      case 'figures':
        this.#lastFigures = message.figures
        this.#figureAsks.get(message.ask)?.(message.figures)
        this.#figureAsks.delete(message.ask)
        break
      case 'warning':
        this.#log.warn(message.fields, message.text)
        break
      case 'closed':
        this.#enterOver()
        break
    }
  }

  async #answerToken(ask: number): Promise<void> {
    try {
      this.#say({ is: 'token', ask, token: await this.#token() })
    } catch (error) {
      this.#say({ is: 'token', ask, error: error instanceof Error ? error.message : String(error) })
    }
  }

  #handleDeath(detail: string): void {
    if (this.#state === 'over') return
    const wasRunning = this.#state === 'running'
    this.#enterOver()
    if (!wasRunning) return
    const message = `the bulk thread died: ${detail}`
    this.#started.reject(new TunnelError('internal', message))
    this.#events.failed({ code: 'internal', message })
  }

  #enterOver(): void {
    this.#state = 'over'
    for (const resolve of this.#figureAsks.values()) resolve(this.#lastFigures)
    this.#figureAsks.clear()
    this.#worker.unref() // it ends by itself once its goodbye is written
    this.#closed.resolve()
  }
}
