/**
 * `relay --workers N`: N relay processes on one machine, each a node of its own with its own
 * port, under a parent that starts them again and carries no traffic. Used by run.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { CommandContext } from '../../cli/context.ts'
import type { Address, RelayOptions } from '../../cli/options/index.ts'

/** What a worker tells its parent, once it can be reached. */
export interface WorkerReady {
  readonly listening: readonly string[]
}

/** A worker that lives this long has started well: its next restart is quick again, ms. */
const SETTLED_MS = 30_000
const FIRST_RESTART_MS = 100
const LAST_RESTART_MS = 10_000
/** A worker that dies so often before it is ready will not become so. */
const MAX_FAILED_STARTS = 5

/**
 * The options of worker `index`: each TCP port grows by it, and so do those of advertised URLs; a
 * Unix socket of a later worker gets `.index` behind its path.
 */
export function workerOptions(options: RelayOptions, index: number): RelayOptions {
  const { metrics } = options
  return {
    ...options,
    workers: 1,
    lifeline: false,
    announce: false,
    listen: options.listen.map((address) => shiftAddress(address, index)),
    advertise: options.advertise.map((url) => shiftUrl(url, index)),
    metrics: metrics === undefined ? undefined : shiftAddress(metrics, index),
  }
}

function shiftAddress(address: Address, by: number): Address {
  if (address.is === 'unix') return by === 0 ? address : { ...address, path: `${address.path}.${by}` }
  return { ...address, port: address.port === 0 ? 0 : address.port + by }
}

function shiftUrl(text: string, by: number): string {
  if (by === 0) return text
  if (text.startsWith('unix:')) return `${text}.${by}`
  return text.replace(/^([a-z]+:\/\/(?:\[[^\]]*\]|[^:/]*)):(\d+)/, (_, host: string, port: string) => {
    return `${host}:${Number(port) + by}`
  })
}

/** Lives until SIGTERM or SIGINT, which it passes on, or until its workers cannot be started. Answers the exit code. */
export async function runWorkers(options: RelayOptions, context: CommandContext): Promise<number> {
  const { logger } = context
  const command = context.selfCommand([
    'relay',
    '--worker',
    '--log-level',
    options.logLevel,
    '--log-format',
    options.logFormat,
  ])
  const workers = Array.from(
    { length: options.workers },
    (_, index) => new Worker(index, workerOptions(options, index), command, logger),
  )
  const stopAll = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, 'told to go: tells its workers')
    for (const worker of workers) worker.stop(signal)
  }
  const signals = ['SIGTERM', 'SIGINT'] as const
  for (const signal of signals) process.on(signal, stopAll)
  const readKeysAgain = (): void => {
    for (const worker of workers) worker.readKeysAgain()
  }
  process.on('SIGHUP', readKeysAgain)
  if (options.lifeline) {
    // Ends at once, as a relay without workers does: whoever started us is gone.
    const end = (): void => {
      for (const worker of workers) worker.stop('SIGKILL')
    }
    process.stdin.once('end', end).once('error', end).once('close', end).resume()
  }
  try {
    const ends = workers.map((worker) => worker.run())
    // What failed first says why; the others end because they are told to, some before they can do so in order.
    let firstCode = 0
    const failed = Promise.race(
      ends.map(async (end) => {
        const code = await end
        if (code === 0) return
        if (firstCode === 0) firstCode = code
        for (const worker of workers) worker.stop('SIGTERM')
      }),
    )
    const ready = Promise.all(workers.map((worker) => worker.ready))
    await Promise.race([ready, failed])
    if (options.announce && workers.every((worker) => worker.listening.length > 0)) {
      const listening = workers.flatMap((worker) => worker.listening)
      process.stdout.write(`${JSON.stringify({ listening })}\n`)
    }
    await Promise.all(ends)
    return firstCode
  } finally {
    for (const signal of signals) process.off(signal, stopAll)
    process.off('SIGHUP', readKeysAgain)
    if (options.lifeline) process.stdin.destroy()
  }
}

/** A worker has its options from its parent: read from variables too, SLR_WORKERS would make it a parent itself. Pure. */
export function workerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) => name === 'SLR_SECRET' || !name.startsWith('SLR_'),
  )
  return Object.fromEntries(kept)
}

/** One worker's process, and the ones that take its place. */
class Worker {
  readonly ready: Promise<void>
  listening: readonly string[] = []
  readonly #index: number
  #options: RelayOptions
  readonly #command: readonly [string, ...string[]]
  readonly #log: Logger
  #child: ChildProcess | undefined
  /** It was told to go, by this. */
  #stoppedBy: NodeJS.Signals | undefined
  #isReady = false
  readonly #abort = new AbortController()
  #becomeReady: () => void = () => {}

  constructor(index: number, options: RelayOptions, command: readonly [string, ...string[]], log: Logger) {
    this.#index = index
    this.#options = options
    this.#command = command
    this.#log = log
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve
    })
  }

  /** Settles when it is over for good: told to go, or it cannot be started. Answers the exit code. */
  async run(): Promise<number> {
    let failedStarts = 0
    let restarts = 0
    let hasServed = false
    while (true) {
      const startedAt = performance.now()
      const { code, signal, wasReady } = await this.#live()
      // Ended by that very signal, it was not up yet and had nothing to end in order; or it was SIGKILL.
      if (this.#stoppedBy !== undefined) return code ?? (signal === this.#stoppedBy ? 0 : 1)
      if (!wasReady) {
        failedStarts += 1
        // Once it has served, what is wrong may pass (a key that is being replaced, a port that another one
        // holds for now), and ending it for good would end the other workers, too.
        if (code === 2 && !hasServed) return 2 // wrong use: it has said what is wrong
        if (failedStarts >= MAX_FAILED_STARTS && !hasServed) {
          this.#log.error(
            { worker: this.#index, code, signal },
            `worker ${this.#index} died ${failedStarts} times before it was ready; its own messages say why`,
          )
          return 1
        }
      } else {
        failedStarts = 0
        hasServed = true
      }
      if (wasReady && performance.now() - startedAt > SETTLED_MS) restarts = 0
      const waitMs = Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** restarts)
      restarts += 1
      this.#log.warn({ worker: this.#index, code, signal, waitMs }, 'a worker ended; it is started again')
      await sleep(waitMs, undefined, { signal: this.#abort.signal }).catch(() => {})
      if (this.#stoppedBy !== undefined) return 0
    }
  }

  /** One that is not ready yet has no handler for the signal, and reads them anyway. */
  readKeysAgain(): void {
    if (this.#isReady) this.#child?.kill('SIGHUP')
  }

  stop(signal: NodeJS.Signals): void {
    this.#stoppedBy = signal
    this.#abort.abort()
    this.#child?.kill(signal)
  }

  async #live(): Promise<{ code: number | null; signal: NodeJS.Signals | null; wasReady: boolean }> {
    const [program, ...args] = this.#command
    // A group of its own: Ctrl-C reaches the parent, which passes it on once. When the parent
    // dies, the channel closes and the worker leaves by itself.
    let wasReady = false
    let child: ChildProcess
    try {
      child = spawn(program, args, {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        detached: true,
        env: workerEnvironment(process.env),
      })
    } catch (error) {
      this.#log.error({ worker: this.#index, err: error }, 'a worker cannot be started now')
      return { code: 1, signal: null, wasReady }
    }
    this.#child = child
    this.#isReady = false
    child.on('message', (message) => {
      wasReady = true
      this.#isReady = true
      this.#handleReady(message as WorkerReady)
    })
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; wasReady: boolean }>(
      (resolve) => {
        child.once('error', () => resolve({ code: 1, signal: null, wasReady }))
        child.once('exit', (code, signal) => resolve({ code, signal, wasReady }))
      },
    )
    // One that is gone already shows by its exit. Without a descriptor left there is no channel, and `error` follows.
    child.send?.(this.#options, () => {})
    return await ended
  }

  #handleReady(ready: WorkerReady): void {
    this.listening = ready.listening
    this.#log.info({ worker: this.#index, pid: this.#child?.pid, listening: ready.listening }, 'worker ready')
    // Whoever takes its place is found where this one was.
    const listen = this.#options.listen.map((address, i) => {
      const port = Number(/:(\d+)$/.exec(ready.listening[i] ?? '')?.[1])
      return address.is === 'tcp' && address.port === 0 && port > 0 ? { ...address, port } : address
    })
    this.#options = { ...this.#options, listen }
    this.#becomeReady()
  }
}

/** In a worker: the options that its parent sends. Rejects when there is no parent. */
export async function receiveOptions(): Promise<RelayOptions> {
  if (process.send === undefined) throw new Error('--worker is for children of relay --workers')
  return await new Promise((resolve) => {
    process.once('message', (message) => resolve(message as RelayOptions))
  })
}

export function tellReady(ready: WorkerReady): void {
  process.send?.(ready)
}
