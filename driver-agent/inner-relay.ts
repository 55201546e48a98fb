/**
 * The relay inside a job: a child process, so that its loops share nothing with the agent's,
 * started again with growing pauses when it dies. Endpoints keep their streams meanwhile;
 * when it stays away longer than they do, the job is over. Used by session.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Logger } from 'pino'
import * as z from 'zod'
import { AgentError } from './errors.ts'
import { diesWithUs } from './spawn.ts'

const FIRST_START_MS = 20_000
const BACK_OFF_MS = { first: 100, most: 5_000 }
/** A relay that ran this long starts the back-off anew when it dies. */
const SETTLED_MS = 30_000
const KEPT_LINES = 20

/** The line a relay writes to stdout with `--announce`, once it is ready. */
const announcement = z.object({ listening: z.array(z.string()) })

export interface InnerRelayOptions {
  /** How a command of ours is started as a child: program first. */
  readonly selfCommand: (args: readonly string[]) => readonly string[]
  /** Private folder; the relay listens on `uplink/relay.sock` in it. */
  readonly dir: string
  readonly secretFile: string
  /** More addresses to listen on: `host:port`. */
  readonly listen: readonly string[]
  readonly advertise: readonly string[]
  /** Environment for the relay. */
  readonly environment: NodeJS.ProcessEnv
  readonly logger: Logger
  /** How long it may stay away, ms: less than endpoints keep their streams without a relay. */
  readonly giveUpMs: number
}

export interface InnerRelay {
  /** URL for endpoints on this machine. */
  readonly url: string
  /** Every URL it said it listens on, its Unix socket among them. */
  readonly listening: readonly string[]
  readonly pid: number | undefined
  /** Whether it has announced itself since it was last started. */
  readonly isReady: boolean
  /** How often it was started again. */
  readonly restarts: number
  /** Settles when it is lost for good; never after stop(). */
  readonly lost: Promise<AgentError>
  stop(): Promise<void>
}

/** Starts the relay and waits until it is ready. Throws AgentError with the relay's last lines. */
export async function startInnerRelay(options: InnerRelayOptions): Promise<InnerRelay> {
  const relay = new SupervisedRelay(options)
  await relay.start()
  return relay
}

type State =
  | { readonly is: 'running'; readonly child: ChildProcess; readonly sinceMs: number }
  | { readonly is: 'away'; readonly timer: NodeJS.Timeout }
  | { readonly is: 'stopped' }
  | { readonly is: 'lost' }

class SupervisedRelay implements InnerRelay {
  readonly url: string
  listening: readonly string[] = []
  readonly lost: Promise<AgentError>
  readonly #options: InnerRelayOptions
  readonly #lastLines: string[] = []
  #state: State | undefined
  #restarts = 0
  #failuresInARow = 0
  /** Whether #watchAbsence runs. */
  #isAway = false
  /** Whether the relay that runs has announced itself. */
  #isReady = false
  /** Whether one ever has. */
  #wasReady = false
  #reportLost: (error: AgentError) => void = () => {}

  constructor(options: InnerRelayOptions) {
    this.#options = options
    // In a folder of its own, which functions see: a relay that is started again makes a new socket.
    const folder = join(options.dir, 'uplink')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.url = `unix:${join(folder, 'relay.sock')}`
    this.lost = new Promise((resolve) => {
      this.#reportLost = resolve
    })
  }

  get pid(): number | undefined {
    return this.#state?.is === 'running' ? this.#state.child.pid : undefined
  }

  get isReady(): boolean {
    return this.#isReady
  }

  get restarts(): number {
    return this.#restarts
  }

  async start(): Promise<void> {
    this.#spawn()
    const deadline = performance.now() + FIRST_START_MS
    while (performance.now() < deadline) {
      // A relay that cannot start the first time (a port in use) will not later.
      if (this.#failuresInARow > 0) break
      if (this.#isReady) {
        this.#wasReady = true
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    await this.stop()
    throw new AgentError('setup', `the relay did not start: ${this.#why() || 'it wrote nothing'}`)
  }

  async stop(): Promise<void> {
    const state = this.#state
    if (state?.is === 'lost') return
    if (state?.is === 'away') clearTimeout(state.timer)
    this.#state = { is: 'stopped' }
    if (state?.is !== 'running') return
    const gone = new Promise<void>((resolve) => state.child.once('exit', () => resolve()))
    if (state.child.exitCode !== null || state.child.signalCode !== null) return
    // Its lifeline, and not SIGTERM: nobody is left to move elsewhere, so there is nothing to drain.
    state.child.stdin?.end()
    const hard = setTimeout(() => state.child.kill('SIGKILL'), 3_000)
    await gone
    clearTimeout(hard)
  }

  #spawn(): void {
    const { selfCommand, secretFile, listen, advertise, environment, logger } = this.#options
    const args = ['relay', '--listen', this.url, '--secret-file', secretFile, '--lifeline', '--announce']
    args.push('--log-level', 'warn', '--log-format', 'json')
    for (const address of listen) args.push('--listen', address)
    for (const url of advertise) args.push('--advertise', url)
    const [program, ...rest] = diesWithUs(selfCommand(args))
    // Its stdin is a lifeline: where there is no pdeathsig, its end tells it that we are gone.
    const child = spawn(program as string, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: environment,
      // A session of its own: Ctrl-C on the agent's terminal must not end it before its endpoints.
      detached: true,
    })
    child.stdin?.on('error', () => {})
    this.#isReady = false
    if (child.stdout) createInterface(child.stdout).on('line', (line) => this.#announced(child, line))
    if (child.stderr) createInterface(child.stderr).on('line', (line) => this.#keep(line))
    const sinceMs = performance.now()
    this.#state = { is: 'running', child, sinceMs }
    logger.debug({ pid: child.pid }, 'relay started')
    child.once('error', (error) => this.#keep(error.message))
    let over = false
    const ended = (how: string): void => {
      if (over) return
      over = true
      this.#childEnded(child, how, sinceMs)
    }
    child.once('error', (error) => ended(error.message))
    child.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`))
  }

  #childEnded(child: ChildProcess, how: string, sinceMs: number): void {
    if (this.#state?.is !== 'running' || this.#state.child !== child) return
    const now = performance.now()
    this.#isReady = false
    if (now - sinceMs > SETTLED_MS) this.#failuresInARow = 0
    this.#failuresInARow += 1
    if (!this.#wasReady) return
    const pauseMs =
      Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** (this.#failuresInARow - 1)) * (0.5 + Math.random())
    this.#options.logger.warn(
      { how, againInMs: Math.round(pauseMs), lastLines: this.#lastLines.slice(-3) },
      'the relay ended; starting it again',
    )
    if (!this.#isAway) void this.#watchAbsence(now)
    this.#state = { is: 'away', timer: setTimeout(() => this.#restart(), pauseMs) }
  }

  #restart(): void {
    this.#restarts += 1
    this.#spawn()
  }

  /** From a death on: asks until it is ready again, or it has been away for too long. */
  async #watchAbsence(sinceMs: number): Promise<void> {
    this.#isAway = true
    const deadline = sinceMs + this.#options.giveUpMs
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      if (this.#state?.is === 'stopped' || this.#state?.is === 'lost') return
      if (this.#isReady) {
        this.#isAway = false
        this.#options.logger.info({ awayMs: Math.round(performance.now() - sinceMs) }, 'the relay is back')
        return
      }
      if (performance.now() >= deadline) return this.#giveUp()
    }
  }

  #giveUp(): void {
    const state = this.#state
    if (state?.is === 'away') clearTimeout(state.timer)
    this.#state = { is: 'lost' }
    if (state?.is === 'running') state.child.kill('SIGKILL')
    const why = this.#why()
    const seconds = Math.round(this.#options.giveUpMs / 1000)
    this.#reportLost(
      new AgentError(
        'relay-lost',
        `the relay died and could not be started again for ${seconds} s${why === '' ? '' : `: ${why}`}`,
      ),
    )
  }

  /** Its own sentence if it wrote one, else its last lines. */
  #why(): string {
    const sentence = this.#lastLines.findLast((line) => line.startsWith('spark-lambda-relay:'))
    return sentence?.slice('spark-lambda-relay:'.length).trim() ?? this.#lastLines.slice(-3).join(' ')
  }

  #announced(child: ChildProcess, line: string): void {
    const found = announcement.safeParse(parseJson(line))
    if (!found.success || this.#state?.is !== 'running' || this.#state.child !== child) return
    this.listening = found.data.listening
    this.#isReady = true
  }

  #keep(line: string): void {
    if (line.trim() === '') return
    this.#lastLines.push(line)
    if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift()
    this.#options.logger.trace({ line }, 'relay')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
