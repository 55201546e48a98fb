/**
 * Carries out an executor's life: feeds life.ts with what happens (tunnel, JVM, control
 * stream, stdin, time) and does what it says. Used by main.ts only.
 */
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import type { MessageChannel, Tunnel, TunnelOptions } from '../relay/loopback/tunnel-types.ts'
import { agentMessage, type ShimMessage } from './control.ts'
import { ShimError } from './errors.ts'
import { ExecutorProcess } from './executor-process.ts'
import { jvmCommand, missingFromPod } from './jvm-command.ts'
import { JvmLog } from './jvm-log.ts'
import { type Deed, type Life, type LifeEvent, step } from './life.ts'
import type { FunctionPayload } from './payload.ts'
import { readPayload } from './payload-input.ts'
import { sparkVersionAt } from './spark-version.ts'
import { TrafficReport } from './traffic-report.ts'
import { describeDisk, makeWorkDir, writeConfDir } from './work-dir.ts'

/** While bytes move. */
const TRAFFIC_MS = 2000
/** Outputs of a dead JVM are read for so long at most: somebody else may hold them. */
const LOG_END_MS = 1000
/** Leaving the relay in order takes at most so long (the tunnel's own limit is 10 s). */
const CLOSE_MS = 11_000
/** The JVM's grace when the driver or the relay is gone: there is nothing to hand over. */
const ORPHAN_GRACE_MS = 1000

/** What a shim needs of the command's options. */
export interface ShimSettings {
  /** Writable folder for the JVM's cwd, local dirs and temporary files. Default: a new folder under TMPDIR. */
  readonly workDir?: string | undefined
  /** File that takes the JVM's stdout and stderr. Default: none, only the last lines are kept. */
  readonly executorLog?: string | undefined
  /** The Spark to run. Required. */
  readonly sparkHome?: string | undefined
  /** Limits of both endpoints; defaults of the endpoint where missing. */
  readonly endpoint?: Record<string, number>
}

/** See runShim() in main.ts. */
export async function liveAsShim(settings: ShimSettings, input: Readable, log: Logger): Promise<number> {
  try {
    const { payload, parentGone } = await readPayload(input)
    const shim = new Shim(payload, settings, log.child({ pod: payload.pod.name }))
    void parentGone.then(() => shim.feed({ is: 'end', cause: 'parent-gone', graceMs: 0 }))
    return await shim.live()
  } catch (error) {
    const failure = ShimError.from(error, 'environment')
    process.stderr.write(`spark-lambda-relay: ${failure.message}\n`)
    return failure.exitCode
  }
}

class Shim {
  readonly #payload: FunctionPayload
  readonly #settings: ShimSettings
  readonly #log: Logger
  readonly #over: Promise<number>
  #settle: (exitCode: number) => void = () => {}
  #life: Life = { is: 'attaching' }
  #token: string
  #tunnel: Tunnel | undefined
  #control: MessageChannel | undefined
  #executor: ExecutorProcess | undefined
  #jvmLog: JvmLog | undefined
  #traffic: TrafficReport | undefined
  #rpcOpened = false
  /** Whether the JVM can bind ::1; found out before the tunnel starts, which delivers there. */
  #ipv6 = true

  constructor(payload: FunctionPayload, settings: ShimSettings, log: Logger) {
    this.#payload = payload
    this.#settings = settings
    this.#log = log
    this.#token = payload.token
    this.#over = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  /** Lives until the machine is over; the exit code. */
  async live(): Promise<number> {
    const lead = Math.min(2000, this.#payload.maxLifetimeMs / 10)
    const lifetime = setTimeout(
      () => this.feed({ is: 'end', cause: 'lifetime', graceMs: lead / 2 }),
      this.#payload.maxLifetimeMs - lead,
    )
    lifetime.unref()
    process.on('SIGTERM', () => this.feed({ is: 'end', cause: 'asked', graceMs: lead }))
    process.on('SIGINT', () => {}) // Ctrl-C is the agent's to answer
    try {
      await this.#attach()
    } catch (error) {
      this.#fail(error, 'tunnel')
    }
    return this.#over
  }

  /** The only place that assigns #life. */
  feed(event: LifeEvent): void {
    const { life, deeds } = step(this.#life, event)
    if (life !== this.#life) this.#log.info({ from: this.#life.is, to: life.is, event: event.is }, 'executor')
    this.#life = life
    for (const deed of deeds) this.#carryOut(deed)
  }

  #carryOut(deed: Deed): void {
    switch (deed.do) {
      case 'start-jvm':
        this.#startJvm().catch((error) => this.#fail(error, 'environment'))
        return
      case 'signal':
        // Not there yet: the start is still under way, and asks the state when it is done.
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

  async #attach(): Promise<void> {
    const { address, driverAddress, pod } = this.#payload
    const sparkVersion = this.#checkedSparkVersion()
    const workDir = makeWorkDir(this.#settings.workDir)
    const { startTunnel, hasIpv6Loopback } = await import('../relay/loopback/index.ts')
    this.#ipv6 = hasIpv6Loopback()
    const tunnel = await startTunnel(await this.#tunnelOptions(workDir))
    if (this.#life.is === 'over') return void tunnel.close()
    this.#tunnel = tunnel
    void tunnel.ended.then((error) => {
      if (error === undefined) return
      this.#log.error({ err: error }, 'tunnel lost')
      this.feed({ is: 'end', cause: 'tunnel-lost', graceMs: ORPHAN_GRACE_MS })
    })
    const control = tunnel.openControl(driverAddress)
    this.#control = control
    control.onMessage((message) => this.#handle(message))
    control.onEnd((error) => {
      this.#log.info({ err: error }, 'control stream ended')
      this.feed({ is: 'end', cause: 'driver-gone', graceMs: ORPHAN_GRACE_MS })
    })
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
    this.#assertVersion(sparkVersion)
    this.#traffic = new TrafficReport(tunnel, TRAFFIC_MS, (message) => this.#send(message))
    this.feed({ is: 'attached' })
  }

  async #tunnelOptions(workDir: string): Promise<TunnelOptions> {
    const { app, address, relays, tlsCa, ports } = this.#payload
    let tlsCaFile: string | undefined
    if (tlsCa !== undefined) {
      const { writeFile } = await import('node:fs/promises')
      tlsCaFile = join(workDir, 'ca.pem')
      await writeFile(tlsCaFile, tlsCa, { mode: 0o600 })
    }
    return {
      app,
      address,
      token: () => this.#token,
      relays,
      ...(tlsCaFile === undefined ? {} : { tlsCaFile }),
      dials: [
        { port: ports.driverRpc, class: 'urgent' },
        { port: ports.driverBlocks, class: 'bulk' },
        // The same port for another executor's blocks: unless it is one of the driver's too.
        { port: ports.executorBlocks, class: 'bulk' as const },
      ],
      serves: [
        { port: ports.executorBlocks, target: { host: this.#bindHost(), port: ports.executorBlocks } },
      ],
      ...(this.#settings.endpoint === undefined ? {} : { endpoint: this.#settings.endpoint }),
      onStream: (peer, port) => this.#handleStream(peer, port),
      logger: this.#log,
    }
  }

  async #startJvm(): Promise<void> {
    const { pod, confDir, address } = this.#payload
    const workDir = makeWorkDir(this.#settings.workDir)
    const jvm = jvmCommand(pod, functionEnvironment(process.env), {
      sparkHome: this.#settings.sparkHome ?? '',
      java: process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java',
      workDir,
      confDir: writeConfDir(workDir, confDir),
      address,
      ipv6: this.#ipv6,
    })
    const executor = await ExecutorProcess.start(jvm)
    this.#executor = executor
    const jvmLog = new JvmLog({
      file: this.#settings.executorLog,
      send: (lines, dropped) => this.#send({ is: 'log', lines: [...lines], dropped }),
      diskFullHint: () =>
        `spark-lambda-relay: the work folder of ${pod.name} is full (${describeDisk(workDir)}): give functions a larger disk, or use more executors`,
      onFileError: (error) => this.#log.warn({ err: error }, 'executor log cannot be written'),
    })
    this.#jvmLog = jvmLog
    const logEnded = Promise.all([
      jvmLog.follow(executor.stdout, 'out'),
      jvmLog.follow(executor.stderr, 'err'),
    ])
    this.#send({ is: 'jvm-running', pid: executor.pid })
    void executor.ended.then(async ({ code, signal }) => {
      await Promise.race([logEnded, after(LOG_END_MS)])
      this.feed({ is: 'jvm-exited', code, signal })
    })
    // It was told to end while it started.
    if (this.#life.is === 'ending' || this.#life.is === 'over') executor.signal('SIGKILL')
  }

  #handle(message: unknown): void {
    const parsed = agentMessage.safeParse(message)
    if (!parsed.success) {
      this.#log.warn('control message not understood: is the agent newer than this function?')
      return
    }
    const order = parsed.data
    if (order.is === 'token') this.#token = order.token
    else if (order.is === 'drain') this.feed({ is: 'drain', reason: order.reason })
    else this.feed({ is: 'end', cause: 'asked', graceMs: order.graceMs })
  }

  #handleStream(peer: string, port: number): void {
    if (this.#rpcOpened || port !== this.#payload.ports.driverRpc || peer !== this.#payload.driverAddress)
      return
    this.#rpcOpened = true
    this.#executor?.peakBytes() // a JVM that lives a second was seen once at least
    this.#send({ is: 'rpc-opened' })
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
      const leave = async () => {
        await this.#traffic?.close()
        this.#control?.close()
        await this.#tunnel?.close()
      }
      await Promise.race([Promise.all([leave(), this.#jvmLog?.close()]), after(CLOSE_MS)])
    } else {
      this.#executor?.signal('SIGKILL')
      await Promise.race([this.#jvmLog?.close(), after(LOG_END_MS)])
    }
    this.#settle(exitCode)
  }

  #fail(error: unknown, code: 'tunnel' | 'environment'): void {
    const failure = ShimError.from(error, code)
    process.stderr.write(`spark-lambda-relay: ${failure.message}\n`)
    // The driver's agent hears it as the last lines of an executor that never ran.
    if (this.#life.is !== 'over') {
      this.#send({
        is: 'exited',
        code: failure.exitCode,
        signal: null,
        lastLines: [failure.message],
        maxResidentBytes: 0,
      })
    }
    this.feed({ is: 'failed', exitCode: failure.exitCode })
  }

  #checkedSparkVersion(): string {
    const missing = missingFromPod(this.#payload.pod)
    if (missing.length > 0) {
      throw new ShimError(
        'payload',
        `the pod's environment lacks ${missing.join(', ')}: it was not made by Spark`,
      )
    }
    const home = this.#settings.sparkHome
    if (home === undefined || home === '') {
      throw new ShimError(
        'environment',
        'SPARK_HOME is not set in the function: set it to the Spark that it is to run',
      )
    }
    return sparkVersionAt(home)
  }

  /** After `started` was sent, so that the agent has both versions for its own report. */
  #assertVersion(found: string): void {
    const wanted = this.#payload.sparkVersion
    if (found === wanted) return
    throw new ShimError(
      'version',
      `the function has Spark ${found}, the driver runs ${wanted}: give both the same (SPARK_HOME=${this.#settings.sparkHome})`,
    )
  }

  #bindHost(): string {
    return this.#ipv6 ? '::1' : this.#payload.address
  }

  #send(message: ShimMessage): void {
    this.#control?.send(message)
  }
}

/** The JVM gets the function's environment, without what is ours. */
function functionEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith('SLR_') && name !== 'NODE_OPTIONS') kept[name] = value
  }
  return kept
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
