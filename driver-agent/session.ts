/**
 * One agent at work: the relay inside, the tunnel of the driver, the Kubernetes facade, the
 * table of pods and the provider, started in order and ended in order. submit.ts and
 * agent.ts each hold one; what differs between them is who starts Spark.
 */
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Tunnel } from '../relay/loopback/index.ts'
import { systemClock } from '../relay/time/clock.ts'
import { driverEnvironment } from './environment.ts'
import { AgentError } from './errors.ts'
import { type Facade, startFacade } from './facade/index.ts'
import { Functions } from './functions.ts'
import { type Guardian, startGuardian } from './guardian.ts'
import type { InnerRelay } from './inner-relay.ts'
import { Ledger } from './ledger.ts'
import { bridgeUplinks, type UplinkBridge } from './local/uplink-bridge.ts'
import { type LogServer, startLogServer } from './log-server.ts'
import { createPods, type Pods, parseSelector } from './pods/index.ts'
import type { FunctionProvider } from './provider.ts'
import { residentBytesOf } from './resident.ts'
import { createRunDir, logsDirOf, type RunDir } from './run-dir.ts'
import { secretFileFor } from './secret.ts'
import {
  createProvider,
  DRIVER_ADDRESS,
  NAMESPACE,
  payloadFrame,
  pickSessionPorts,
  type SessionOptions,
  type SessionPorts,
  startDriverTunnel,
  startRelayInside,
  writeSettings,
} from './session-parts.ts'
import type { AppliedSettings } from './settings/index.ts'
import { applicationName, createSigner, type Signer } from './signer.ts'
import { type Ending, type Summary, summarize } from './summary.ts'

const GATHER_EACH_MS = 2_000
/** How long functions may take to end by themselves when the session closes. */
const END_WITHIN_MS = 5_000

export interface Session {
  readonly app: string
  /** Private folder of the run. */
  readonly dir: string
  /** Value of the mark that everything of this run carries in its environment. */
  readonly run: string
  readonly settings: AppliedSettings
  readonly sparkHome: string
  /** For Spark's driver. */
  readonly environment: NodeJS.ProcessEnv
  readonly ledger: Ledger
  /** Settles when the session cannot go on, with the sentence for the user. */
  readonly failed: Promise<AgentError>
  /** The ledger's clock, ms. */
  now(): number
  /** Whether Spark has asked the facade for anything. */
  hasBeenCalled(): boolean
  /** Ends everything in order and removes all files; keeps the logs when `ending` is no success. */
  close(ending: Ending): Promise<Summary>
}

/** Starts everything. What was started is ended again when it throws (AgentError, SettingsError). */
export async function startSession(options: SessionOptions): Promise<Session> {
  const session = new RunningSession(options)
  try {
    await session.start()
    return session
  } catch (error) {
    await session.close({ endedBy: 'agent', exitCode: 1 })
    throw error
  }
}

class RunningSession implements Session {
  app: string
  readonly run: string
  readonly ledger: Ledger
  readonly failed: Promise<AgentError>
  environment: NodeJS.ProcessEnv = {}
  readonly #given: SessionOptions
  #reportFailed: (error: AgentError) => void = () => {}
  #settings: AppliedSettings | undefined
  #runDir: RunDir | undefined
  #guardian: Guardian | undefined
  #relay: InnerRelay | undefined
  #tunnel: Tunnel | undefined
  #pods: Pods | undefined
  #facade: Facade | undefined
  #functions: Functions | undefined
  #provider: FunctionProvider | undefined
  #logServer: LogServer | undefined
  #bridge: UplinkBridge | undefined
  #gathering: NodeJS.Timeout | undefined
  #agentResidentBytes = 0
  #relayResidentBytes: number | undefined
  #isClosing = false

  constructor(given: SessionOptions) {
    this.#given = given
    this.run = randomBytes(8).toString('hex')
    this.app = given.options.app ?? ''
    this.ledger = new Ledger(DRIVER_ADDRESS, performance.now())
    this.failed = new Promise((resolve) => {
      this.#reportFailed = resolve
    })
  }

  get settings(): AppliedSettings {
    if (this.#settings === undefined) throw new Error('the session is not started')
    return this.#settings
  }

  get dir(): string {
    if (this.#runDir === undefined) throw new Error('the session is not started')
    return this.#runDir.path
  }

  get sparkHome(): string {
    return this.#given.sparkHome
  }

  now(): number {
    return performance.now()
  }

  hasBeenCalled(): boolean {
    return (this.#facade?.callsSeen().count ?? 0) > 0
  }

  async start(): Promise<void> {
    const { options, writeLine } = this.#given
    this.#runDir = await createRunDir(this.#given.onErrand)
    this.#guardian = startGuardian(this.run, [this.dir, logsDirOf(this.dir)])
    const isForeign = options.relay.length > 0
    const secretFile = await secretFileFor(
      { file: options.secretFile, text: process.env.SLR_SECRET, foreignRelay: isForeign },
      this.dir,
    )
    if (this.app === '') this.app = await applicationName(secretFile, this.run)
    const signer = await createSigner(secretFile, this.app, options.maxLifetimeMs)
    const ports = await pickSessionPorts()
    const facadeToken = randomBytes(32).toString('base64url')
    const tokenFile = join(this.dir, 'facade-token')
    await writeFile(tokenFile, facadeToken, { mode: 0o600 })
    this.#logServer = await startLogServer((application, executor) => this.#logFile(application, executor))
    // Settings first: wrong ones are the user's to mend before anything is started.
    this.#settings = await writeSettings(this.#given, this.dir, ports, tokenFile, this.#logServer.urlPattern)
    for (const warning of this.#settings.warnings) writeLine(warning)
    const relays = isForeign ? options.relay : [await this.#startRelay(secretFile)]
    await this.#startTunnel(relays, signer, ports)
    this.#bridge = await bridgeUplinks(relays, this.dir, options.tlsCa, this.#part('bridge'))
    this.#startFunctions(relays, this.#bridge.detours, signer, ports)
    this.#facade = await startFacade({
      pods: this.#pods as Pods,
      token: facadeToken,
      port: ports.facade,
      logger: this.#part('facade'),
      clock: systemClock,
    })
    this.environment = driverEnvironment(this.run, this.settings.env, this.#given)
    this.#gathering = setInterval(() => void this.#gather(), GATHER_EACH_MS)
    this.#gathering.unref()
  }

  async close(ending: Ending): Promise<Summary> {
    this.#isClosing = true
    clearInterval(this.#gathering)
    await this.#endFunctions()
    await this.#gather()
    const stats = await this.#tunnel?.stats().catch(() => undefined)
    const summary = summarize(
      this.ledger,
      ending,
      {
        app: this.app,
        driverResumes: stats?.resumes ?? 0,
        resets: { ...stats?.resets },
        droppedLogLines: this.#functions?.droppedLogLines ?? 0,
        relayRestarts: this.#relay?.restarts ?? 0,
        agentResidentBytes: this.#agentResidentBytes,
        relayResidentBytes: this.#relayResidentBytes,
      },
      this.now(),
    )
    await this.#facade?.close()
    this.#bridge?.close()
    this.#logServer?.close()
    this.#pods?.close()
    await this.#tunnel?.close()
    await this.#relay?.stop()
    await this.#keepLogs(ending)
    this.#guardian?.dismiss()
    await this.#runDir?.remove()
    return summary
  }

  #part(part: string): Logger {
    return this.#given.context.logger.child({ part })
  }

  async #startRelay(secretFile: string): Promise<string> {
    this.#relay = await startRelayInside(this.#given, this.run, this.dir, secretFile, this.#part('relay'))
    this.#relay.lost.then((error) => this.#fail(error))
    return this.#relay.url
  }

  async #startTunnel(relays: readonly string[], signer: Signer, ports: SessionPorts): Promise<void> {
    this.#tunnel = await startDriverTunnel(
      this.#given,
      {
        app: this.app,
        relays,
        onControl: (peer, channel) => this.#functions?.handleControl(peer, channel),
        logger: this.#part('tunnel'),
      },
      signer,
      ports.spark,
    )
    this.#tunnel.ended.then((error) => {
      if (error === undefined) return
      this.#fail(new AgentError('tunnel-lost', `the relay is lost: ${error.message}`, { cause: error }))
    })
  }

  #startFunctions(
    relays: readonly string[],
    detours: UplinkBridge['detours'],
    signer: Signer,
    ports: SessionPorts,
  ): void {
    const { options, writeLine } = this.#given
    this.#provider = createProvider(this.#given, this.run, this.dir, this.#logDir, this.#part('local'))
    this.#functions = new Functions({
      provider: this.#provider,
      payload: payloadFrame(this.#given, this.app, relays, detours, ports.spark, this.settings.confDir),
      ledger: this.ledger,
      signToken: (address) => signer.executor(address),
      retire: (address) => this.#tunnel?.retire(address, signer.generation),
      hopeless: (reason) => this.#fail(new AgentError('start-failures', reason)),
      newSparkApplication: (application) => setImmediate(() => this.#endOtherApplications(application)),
      writeLine,
      now: () => this.now(),
      logger: this.#part('functions'),
    })
    this.#pods = createPods({
      namespace: NAMESPACE,
      maxExecutors: options.maxExecutors,
      instances: this.settings.dynamicAllocation ? 0 : this.settings.instances,
      startDeadlineMs: options.startDeadlineMs,
      clock: systemClock,
      logger: this.#part('pods'),
      output: this.#functions,
    })
    this.#functions.serve(this.#pods)
  }

  /** A driver that was started again over this agent brings a new application; the old one's pods serve nobody. */
  #endOtherApplications(application: string): void {
    for (const pod of this.#pods?.list(parseSelector(`spark-app-selector!=${application}`, undefined)) ??
      []) {
      try {
        this.#pods?.remove(pod.metadata.name, 0)
      } catch (error) {
        this.#part('pods').debug({ pod: pod.metadata.name, error: (error as Error).message }, 'gone already')
      }
    }
  }

  async #endFunctions(): Promise<void> {
    this.#pods?.stopAll('the job is over')
    const deadline = this.now() + END_WITHIN_MS
    while ((this.#pods?.counts().functionsAlive ?? 0) > 0 && this.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    await this.#provider?.close()
  }

  async #gather(): Promise<void> {
    this.#agentResidentBytes = Math.max(this.#agentResidentBytes, process.memoryUsage.rss())
    const relayBytes = residentBytesOf(this.#relay?.pid)
    if (relayBytes !== undefined)
      this.#relayResidentBytes = Math.max(this.#relayResidentBytes ?? 0, relayBytes)
    const stats = await this.#tunnel?.stats().catch(() => undefined)
    if (stats !== undefined) this.ledger.traffic(DRIVER_ADDRESS, stats.peers)
  }

  #fail(error: AgentError): void {
    if (!this.#isClosing) this.#reportFailed(error)
  }

  get #logDir(): string {
    return this.#given.options.logDir ?? logsDirOf(this.dir)
  }

  #logFile(application: string, executor: string): string | undefined {
    const record = this.ledger.find(application, executor)
    return record === undefined ? undefined : join(this.#logDir, `${record.pod}.log`)
  }

  /** Logs in a folder that the user named are his; others are kept for a week when something failed. */
  async #keepLogs(ending: Ending): Promise<void> {
    if (this.#given.options.logDir !== undefined || this.#runDir === undefined) return
    if (ending.exitCode !== 0 && this.ledger.executors.length > 0) {
      this.#given.writeLine(`logs of the executors: ${this.#logDir}`)
    } else await rm(this.#logDir, { recursive: true, force: true })
  }
}
