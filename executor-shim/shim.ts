/**
 * Carries out an executor's life: feeds life.ts with what happens (uplink, JVM, stdin, time)
 * and does what it says. Used by main.ts only.
 */
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { hasIpv6Loopback } from '../relay/loopback/address.ts'
import { giveBackOnceSettled } from '../relay/loopback/give-back.ts'
import type { ShimMessage } from './control.ts'
import { ShimError } from './errors.ts'
import { ExecutorProcess } from './executor-process.ts'
import { assertFits, jvmCommand } from './jvm-command.ts'
import { JvmLog } from './jvm-log.ts'
import { type Deed, type Life, type LifeEvent, step } from './life.ts'
import type { FunctionPayload } from './payload.ts'
import { readPayload } from './payload-input.ts'
import { removeTree } from './remove-tree.ts'
import { sparkVersionAt } from './spark-version.ts'
import { Uplink } from './uplink.ts'
import { describeDisk, makeWorkDir, writeConfDir } from './work-dir.ts'

/** Outputs of a dead JVM are read for so long at most: somebody else may hold them. */
const LOG_END_MS = 1000
/** Leaving the relay in order takes at most so long (the tunnel's own limit is 10 s). */
const CLOSE_MS = 11_000
/** The JVM's grace when the driver or the relay is gone: there is nothing to hand over. */
const ORPHAN_GRACE_MS = 1000
/** Before its lifetime is over, a shim ends its JVM itself, so that its last words are still heard. */
const LIFETIME_LEAD_MS = 2000

/** What a shim needs of the command's options. */
export interface ShimSettings {
  /** Writable folder for the JVM's cwd, local dirs and temporary files. Default: a new folder under TMPDIR, removed at the end. */
  readonly workDir: string | undefined
  /** File that takes the JVM's stdout and stderr. Default: none, only the last lines are kept. */
  readonly executorLog: string | undefined
  /** The Spark to run. */
  readonly sparkHome: string | undefined
  /** Limits of both endpoints that differ from their defaults. */
  readonly endpoint: Record<string, number>
}

/** See runShim() in main.ts. */
export async function liveAsShim(settings: ShimSettings, input: Readable, log: Logger): Promise<number> {
  let ownFolder: string | undefined
  try {
    const { payload, parentGone } = await readPayload(input)
    const workDir = makeWorkDir(settings.workDir)
    if (settings.workDir === undefined) ownFolder = workDir
    const shim = new Shim(payload, settings, workDir, log.child({ pod: payload.pod.name }))
    void parentGone.then(() => shim.feed({ is: 'end', cause: 'parent-gone', graceMs: 0 }))
    return await shim.live()
  } catch (error) {
    return complain(ShimError.from(error, 'environment'))
  } finally {
    // A function's /tmp outlives it: the next one that runs there would find its disk half full.
    if (ownFolder !== undefined) {
      await removeTree(ownFolder).catch((error) => log.warn({ err: error }, 'the work folder stays'))
    }
  }
}

class Shim {
  readonly #payload: FunctionPayload
  readonly #settings: ShimSettings
  readonly #workDir: string
  readonly #log: Logger
  readonly #over = Promise.withResolvers<number>()
  readonly #ipv6 = hasIpv6Loopback()
  #life: Life = { is: 'attaching' }
  #uplink: Uplink | undefined
  #executor: ExecutorProcess | undefined
  #jvmLog: JvmLog | undefined

  constructor(payload: FunctionPayload, settings: ShimSettings, workDir: string, log: Logger) {
    this.#payload = payload
    this.#settings = settings
    this.#workDir = workDir
    this.#log = log
  }

  /** Lives until the machine is over; the exit code. */
  live(): Promise<number> {
    const lead = Math.min(LIFETIME_LEAD_MS, this.#payload.maxLifetimeMs / 4)
    const endLife = () => this.feed({ is: 'end', cause: 'lifetime', graceMs: lead / 2 })
    // The platform counts from before this process began.
    setTimeout(endLife, this.#payload.maxLifetimeMs - lead - performance.now()).unref()
    process.on('SIGTERM', () => this.feed({ is: 'end', cause: 'asked', graceMs: lead }))
    process.on('SIGINT', () => {}) // Ctrl-C is the agent's to answer
    this.#attach().catch((error) => this.#fail(ShimError.from(error, 'tunnel')))
    return this.#over.promise
  }

  /** The only place that assigns #life. */
  feed(event: LifeEvent): void {
    const { life, deeds } = step(this.#life, event)
    if (life !== this.#life)
      this.#log.debug({ from: this.#life.is, to: life.is, event: event.is }, 'executor')
    this.#life = life
    for (const deed of deeds) this.#carryOut(deed)
  }

  #carryOut(deed: Deed): void {
    switch (deed.do) {
      case 'start-jvm':
        this.#startJvm().catch((error) => this.#fail(ShimError.from(error, 'environment')))
        return
      case 'signal':
        // Not there yet: its start is still under way, and asks the state when it is done.
        this.#executor?.signal(deed.signal)
        return
      case 'send':
        this.#send(deed.message)
        return
      case 'wait':
        setTimeout(() => this.feed({ is: 'grace-over' }), deed.ms).unref()
        return
      case 'report-exit':
        this.#reportExit(deed.code, deed.signal)
        return
      case 'finish':
        void this.#finish(deed.exitCode, deed.inOrder)
    }
  }

  /** What is wrong with this function is found only when there is somebody to tell. */
  async #attach(): Promise<void> {
    const { pod, address } = this.#payload
    const uplink = await Uplink.open({
      payload: this.#payload,
      workDir: this.#workDir,
      jvmHost: this.#ipv6 ? '::1' : address,
      endpoint: this.#settings.endpoint,
      onOrder: (order) => {
        if (order.is === 'drain') this.feed({ is: 'drain', reason: order.reason })
        else this.feed({ is: 'end', cause: 'asked', graceMs: order.graceMs })
      },
      onLost: (cause) => this.feed({ is: 'end', cause, graceMs: ORPHAN_GRACE_MS }),
      onRpc: () => {
        this.#executor?.peakBytes() // a JVM that lives a second was seen once at least
        this.#send({ is: 'rpc-opened' })
      },
      logger: this.#log,
    })
    if (this.#life.is === 'over') return uplink.close()
    this.#uplink = uplink
    const sparkVersion = sparkVersionAt(this.#settings.sparkHome ?? '')
    this.#send({
      is: 'started',
      pod: pod.name,
      uid: pod.uid,
      address,
      sparkVersion,
      shimPid: process.pid,
      residentBytes: process.memoryUsage.rss(),
      attachedMs: Math.round(performance.now()),
    })
    assertFits(this.#payload, sparkVersion)
    this.feed({ is: 'attached' })
    giveBackOnceSettled()
  }

  async #startJvm(): Promise<void> {
    const { pod, confDir, address } = this.#payload
    const jvm = jvmCommand(pod, ownEnvironment(), {
      sparkHome: this.#settings.sparkHome ?? '',
      java: process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java',
      workDir: this.#workDir,
      confDir: writeConfDir(this.#workDir, confDir),
      address,
      ipv6: this.#ipv6,
    })
    const executor = await ExecutorProcess.start(jvm)
    this.#executor = executor
    const jvmLog = this.#followLog(executor)
    this.#send({ is: 'jvm-running', pid: executor.pid })
    void executor.ended.then(async ({ code, signal }) => {
      await Promise.race([jvmLog, after(LOG_END_MS)])
      this.feed({ is: 'jvm-exited', code, signal })
    })
    // It was told to end while it started.
    if (this.#life.is === 'ending' || this.#life.is === 'over') executor.signal('SIGKILL')
  }

  /** Settles when the JVM has closed both its outputs. */
  #followLog(executor: ExecutorProcess): Promise<unknown> {
    const log = new JvmLog({
      file: this.#settings.executorLog,
      send: (lines, dropped) => this.#send({ is: 'log', lines: [...lines], dropped }),
      diskFullHint: () =>
        `spark-lambda-relay: the work folder of ${this.#payload.pod.name} is full (${describeDisk(this.#workDir)}): give functions a larger disk, or use more executors`,
      onFileError: (error) => this.#log.warn({ err: error }, 'executor log cannot be written'),
    })
    this.#jvmLog = log
    return Promise.all([log.follow(executor.stdout, 'out'), log.follow(executor.stderr, 'err')])
  }

  #reportExit(code: number | null, signal: string | null): void {
    this.#jvmLog?.flush() // what explains the end goes before it
    this.#send({
      is: 'exited',
      code,
      signal,
      lastLines: [...(this.#jvmLog?.lastLines() ?? [])],
      maxResidentBytes: this.#executor?.peakBytes() ?? 0,
    })
  }

  async #finish(exitCode: number, inOrder: boolean): Promise<void> {
    if (inOrder) {
      await Promise.race([Promise.all([this.#uplink?.close(), this.#jvmLog?.close()]), after(CLOSE_MS)])
    } else {
      this.#executor?.signal('SIGKILL')
      await Promise.race([this.#jvmLog?.close(), after(LOG_END_MS)])
    }
    this.#over.resolve(exitCode)
  }

  /** The driver's agent hears it as the last words of an executor that never ran. */
  #fail(failure: ShimError): void {
    const exitCode = complain(failure)
    if (this.#life.is !== 'over') {
      const lastLines = [failure.message]
      this.#send({ is: 'exited', code: exitCode, signal: null, lastLines, maxResidentBytes: 0 })
    }
    this.feed({ is: 'failed', exitCode })
  }

  #send(message: ShimMessage): void {
    this.#uplink?.send(message)
  }
}

function complain(failure: ShimError): number {
  process.stderr.write(`spark-lambda-relay: ${failure.message}\n`)
  return failure.exitCode
}

/** The JVM gets the function's environment, without what is for the shim. */
function ownEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(SLR|NODE|MALLOC)_/.test(name)) kept[name] = value
  }
  return kept
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
