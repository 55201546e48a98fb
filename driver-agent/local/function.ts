/**
 * One function: a process tree in namespaces of its own, from spawn to the last process gone.
 * Made by provider.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { Logger } from 'pino'
import { LineSplitter } from '../../executor-shim/line-splitter.ts'
import { shimExit } from '../../executor-shim/main.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import type { FunctionEnd, FunctionHandle } from '../provider.ts'
import { type ProcessRow, processRow, processTable } from './process-table.ts'
import type { MemorySampler, Sampled } from './sampler.ts'
import { fds, SETUP_FAILED } from './setup-script.ts'

/** Lines of stderr kept to explain an end. */
const KEPT_LINES = 20
/** How a program of ours begins a sentence for people. */
const COMPLAINT = 'spark-lambda-relay: '
/** How often a tree that is being killed is looked at. */
const GONE_MS = 20
/** A killed tree that is still there after this is reported all the same: something hangs in the kernel. */
const GONE_LIMIT_MS = 8000
/** What a function said last is waited for so long, once it is gone. */
const STDERR_MS = 500

export interface FunctionStart {
  /** Full command: setpriv, unshare, script, shim. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly payload: FunctionPayload
  readonly logFile: string
  /** The tree's memory limit, bytes. */
  readonly limitBytes: number
  readonly sampler: MemorySampler
  readonly logger: Logger
}

/** What we did to it, before its processes tell how they ended. */
type Verdict = Exclude<FunctionEnd, { why: 'exited' }>

export class LocalFunction implements FunctionHandle {
  readonly id: string
  readonly ended: Promise<FunctionEnd>
  readonly #logger: Logger
  readonly #lastLines: string[] = []
  #child: ChildProcess | undefined
  /** Process 1 of its pid namespace, as this machine numbers it. */
  #init: ProcessRow | undefined
  #isReady = false
  #stderrClosed: Promise<void> = Promise.resolve()
  #verdict: Verdict | undefined

  constructor(id: string, start: FunctionStart) {
    this.id = id
    this.#logger = start.logger
    this.ended = this.#run(start)
  }

  async stop(): Promise<void> {
    this.#end({ why: 'stopped', detail: 'stopped by the agent' })
    await this.ended
  }

  async #run(start: FunctionStart): Promise<FunctionEnd> {
    let child: ChildProcess
    try {
      child = this.#spawn(start)
    } catch (error) {
      return notStarted(error as NodeJS.ErrnoException)
    }
    const startError = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined))
      child.once('error', resolve)
    })
    if (startError !== undefined) return notStarted(startError)
    child.on('error', () => {}) // a signal that came too late
    this.#child = child
    const sampled: Sampled = {
      rootPid: child.pid as number,
      limitBytes: start.limitBytes,
      onOver: (used) =>
        this.#end({ why: 'memory', detail: `used ${mib(used)} of ${mib(start.limitBytes)} MiB` }),
    }
    start.sampler.add(sampled)
    const lifeMs = start.payload.maxLifetimeMs
    const lifetime = setTimeout(
      () => this.#end({ why: 'timed-out', detail: `lived for its ${lifeMs / 1000} s` }),
      lifeMs,
    )
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('exit', (...end) => resolve(end))
      if (this.#verdict !== undefined) this.#kill() // stop() came before there was a process
    })
    clearTimeout(lifetime)
    const peakBytes = start.sampler.remove(sampled)
    await this.#untilGone()
    await Promise.race([this.#stderrClosed, after(STDERR_MS)])
    const end = this.#verdict ?? endOf(code, signal, this.#isReady, this.#lastLines)
    return peakBytes === 0 ? end : { ...end, peakBytes }
  }

  #spawn(start: FunctionStart): ChildProcess {
    const log = openSync(start.logFile, 'a', 0o600)
    try {
      const [program = '', ...args] = start.command
      const child = spawn(program, args, {
        cwd: '/',
        env: { ...start.env },
        // A session of its own: Ctrl-C on the agent's terminal must not reach it.
        detached: true,
        stdio: ['pipe', 'ignore', 'pipe', log, 'pipe'],
      })
      const stdin = child.stdin as Writable
      stdin.on('error', () => {}) // it ended before it read
      stdin.write(`${JSON.stringify(start.payload)}\n`) // and stays open: the lifeline
      this.#follow(child.stderr as Readable)
      const ready = child.stdio[fds.ready] as Readable
      ready.once('data', () => this.#handleReady(child.pid as number))
      ready.on('error', () => {})
      return child
    } finally {
      closeSync(log)
    }
  }

  #handleReady(pid: number): void {
    this.#isReady = true
    this.#init = processTable().find(({ parent }) => parent === pid)
  }

  /** The shim's own log: JSON lines, and sentences for people. */
  #follow(stderr: Readable): void {
    const splitter = new LineSplitter((line) => {
      this.#lastLines.push(line)
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift()
      const level = /"level":(\d+)/.exec(line)?.[1]
      this.#logger[level === undefined || Number(level) < 40 ? 'debug' : 'warn']({ function: this.id }, line)
    })
    stderr.on('data', (chunk: Buffer) => splitter.push(chunk))
    this.#stderrClosed = new Promise((resolve) => {
      stderr.once('close', () => {
        splitter.end()
        resolve()
      })
    })
    stderr.on('error', () => {})
  }

  /** The first verdict stands. */
  #end(verdict: Verdict): void {
    if (this.#verdict !== undefined) return
    this.#verdict = verdict
    this.#kill()
  }

  /** Killing process 1 of a pid namespace kills all of it, and unshare returns when all of it is gone. */
  #kill(): void {
    if (this.#init !== undefined && isAlive(this.#init)) kill(this.#init.pid)
    else this.#child?.kill('SIGKILL')
  }

  /** If unshare itself was killed, process 1 dies of that a moment later. */
  async #untilGone(): Promise<void> {
    const init = this.#init
    if (init === undefined) return
    for (const since = performance.now(); isAlive(init); await after(GONE_MS)) {
      kill(init.pid)
      if (performance.now() - since > GONE_LIMIT_MS) {
        this.#logger.error({ function: this.id, pid: init.pid }, 'a killed function does not go away')
        return
      }
    }
  }
}

/** EAGAIN, EMFILE, ENOMEM: this machine is full now, and it is worth another try; anything else stays as it is. */
export function notStarted({ code, message }: NodeJS.ErrnoException): FunctionEnd {
  const retryable = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(code ?? '')
  return { why: 'not-started', detail: message, retryable }
}

/** What an exit means when nobody here ended the function. Pure. */
export function endOf(
  code: number | null,
  signal: string | null,
  isReady: boolean,
  lastLines: readonly string[],
): FunctionEnd {
  const said = lastLines.slice(-3).join(' | ')
  if (!isReady || code === SETUP_FAILED || code === 126 || code === 127) {
    const how = said === '' ? (signal ?? `exit code ${code}`) : said
    return { why: 'not-started', detail: how, retryable: false }
  }
  if (code === shimExit.lifetime) return { why: 'timed-out', detail: 'its lifetime is over' }
  // A shell says 128 + n for a child that died of signal n.
  if (code === null || code > 128) {
    return { why: 'crashed', detail: signal ?? `signal ${(code ?? 128) - 128}` }
  }
  // util-linux 2.38 fails over its own signal mask when process 1 was killed, and exits 1.
  if (code === 1 && lastLines.at(-1)?.startsWith('unshare: ') === true) {
    return { why: 'crashed', detail: 'its process 1 was killed' }
  }
  const complaint = lastLines.findLast((line) => line.startsWith(COMPLAINT))
  return complaint === undefined || code === 0
    ? { why: 'exited', code }
    : { why: 'exited', code, detail: complaint.slice(COMPLAINT.length) }
}

function isAlive(row: ProcessRow): boolean {
  return processRow(row.pid)?.startTicks === row.startTicks
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: gone.
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}
