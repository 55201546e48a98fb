/**
 * One agent at work: the relay inside, the tunnel of the driver, the Kubernetes facade, the
 * table of pods and the provider, started in order and ended in order. submit.ts and
 * agent.ts each hold one; what differs between them is who starts Spark.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import type { CommandContext } from '../cli/context.ts'
import type { AgentOptions, SubmitOptions } from '../cli/options/index.ts'
import { endpointOverrides } from '../relay/endpoint/from-options.ts'
import { hasIpv6Loopback, type ServePort, startTunnel, type Tunnel } from '../relay/loopback/index.ts'
import { systemClock } from '../relay/time/clock.ts'
import { AgentError } from './errors.ts'
import { type Facade, startFacade } from './facade/index.ts'
import { pickFreePorts } from './free-ports.ts'
import { Functions, type PayloadFrame } from './functions.ts'
import { type Guardian, RUN_MARK, startGuardian } from './guardian.ts'
import { type InnerRelay, startInnerRelay } from './inner-relay.ts'
import { Ledger } from './ledger.ts'
import { createLocalProvider } from './local/index.ts'
import { bridgeUplinks, type UplinkBridge } from './local/uplink-bridge.ts'
import { type LogServer, startLogServer } from './log-server.ts'
import { createPods, type Pods, parseSelector } from './pods/index.ts'
import type { FunctionProvider } from './provider.ts'
import { residentBytesOf } from './resident.ts'
import { createRunDir, keptLogsDir, type RunDir } from './run-dir.ts'
import { secretFileFor } from './secret.ts'
import { type AppliedSettings, applySettings, readConfDir } from './settings/index.ts'
import { applicationName, createSigner, type Signer } from './signer.ts'
import { type Ending, type Summary, summarize } from './summary.ts'

export const DRIVER_ADDRESS = '127.64.0.1'
const NAMESPACE = 'spark-lambda-relay'
const GATHER_EACH_MS = 2_000
/** How long functions may take to end by themselves when the session closes. */
const END_WITHIN_MS = 5_000
/** What a function of the local provider may fill; Lambda's default is 512 MB, its most 10,240 MB. */
const FUNCTION_DISK_BYTES = 10_240 * 1024 * 1024

export interface SessionOptions {
  readonly options: SubmitOptions | AgentOptions
  /** For spark-submit; empty for `agent`. */
  readonly sparkArguments: readonly string[]
  readonly sparkHome: string
  /** As `4.3.0`. */
  readonly sparkVersion: string
  /** For Python programs, when PYSPARK_PYTHON says nothing. */
  readonly python?: string | undefined
  readonly context: CommandContext
  /** A line for the user: executors' warnings, news of the run. */
  readonly writeLine: (line: string) => void
}

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
  onErrand: RunDir['onErrand']
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
  readonly #logger: Logger
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
    this.#logger = given.context.logger
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

  onErrand: RunDir['onErrand'] = (handler) => this.#runDir?.onErrand(handler)

  async start(): Promise<void> {
    const { options } = this.#given
    this.#runDir = await createRunDir()
    this.#guardian = startGuardian(this.run, this.dir)
    const isForeign = options.relay.length > 0
    const secretFile = await secretFileFor(
      { file: options.secretFile, text: process.env.SLR_SECRET, foreignRelay: isForeign },
      this.dir,
    )
    if (this.app === '') this.app = await applicationName(secretFile, this.run)
    const signer = await createSigner(secretFile, this.app, options.maxLifetimeMs)
    const ports = await this.#pickPorts()
    // Settings first: wrong ones are the user's to mend before anything is started.
    const facadeToken = randomBytes(32).toString('base64url')
    const tokenFile = join(this.dir, 'facade-token')
    await writeFile(tokenFile, facadeToken, { mode: 0o600 })
    this.#logServer = await startLogServer((application, executor) => this.#logFile(application, executor))
    this.#settings = await this.#applySettings(ports, tokenFile)
    const relays = isForeign ? options.relay : [await this.#startRelay(secretFile)]
    await this.#startTunnel(relays, signer, ports)
    this.#bridge = await bridgeUplinks(
      relays,
      this.dir,
      options.tlsCa,
      this.#logger.child({ part: 'bridge' }),
    )
    this.#startFunctions(this.#bridge.urls, signer, ports)
    this.#facade = await startFacade({
      pods: this.#pods as Pods,
      token: facadeToken,
      port: ports.facade,
      logger: this.#logger.child({ part: 'facade' }),
      clock: systemClock,
    })
    this.environment = this.#driverEnvironment()
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
    if (ending.exitCode !== 0) await this.#keepLogs()
    this.#guardian?.dismiss()
    await this.#runDir?.remove()
    return summary
  }

  async #pickPorts(): Promise<SessionPorts> {
    const [driverRpc, driverBlocks, executorBlocks, facade, ui] = await pickFreePorts(5)
    return { driverRpc, driverBlocks, executorBlocks, facade, ui } as SessionPorts
  }

  async #applySettings(ports: SessionPorts, tokenFile: string): Promise<AppliedSettings> {
    const { options, sparkArguments, sparkHome, sparkVersion, writeLine } = this.#given
    const { facade, ui, ...sparkPorts } = ports
    const propertiesFile = join(this.dir, 'conf', 'spark-defaults.conf')
    const settings = applySettings({
      args: sparkArguments,
      env: process.env,
      sparkHome,
      sparkVersion,
      facadeUrl: `http://127.0.0.1:${facade}`,
      tokenFile,
      propertiesFile,
      namespace: NAMESPACE,
      driverAddress: DRIVER_ADDRESS,
      bindAddress: hasIpv6Loopback() ? '[::1]' : DRIVER_ADDRESS,
      ports: sparkPorts,
      uiPort: ui,
      maxExecutors: options.maxExecutors,
      functionDiskBytes: FUNCTION_DISK_BYTES,
      egress: options.egress,
      executorLogUrl: this.#logServer?.urlPattern,
    })
    await mkdir(dirname(propertiesFile), { mode: 0o700 })
    await writeFile(propertiesFile, settings.properties, { mode: 0o600 })
    for (const warning of settings.warnings) writeLine(warning)
    return settings
  }

  async #startRelay(secretFile: string): Promise<string> {
    const { options, context } = this.#given
    const listen = options.relayListen
    this.#relay = await startInnerRelay({
      selfCommand: context.selfCommand,
      dir: this.dir,
      secretFile,
      listen:
        listen === undefined
          ? []
          : [listen.is === 'unix' ? `unix:${listen.path}` : `${listen.host}:${listen.port}`],
      advertise: options.relayAdvertise,
      // Before the endpoints do, so that the reason told is the cause and not its consequence.
      giveUpMs: options.lingerMs * 0.9,
      environment: this.#ownEnvironment(),
      logger: this.#logger.child({ part: 'relay' }),
    })
    this.#relay.lost.then((error) => this.#fail(error))
    return this.#relay.url
  }

  async #startTunnel(relays: readonly string[], signer: Signer, ports: SessionPorts): Promise<void> {
    const { options } = this.#given
    const serve = (port: number): ServePort =>
      hasIpv6Loopback() ? { port } : { port, target: { host: DRIVER_ADDRESS, port } }
    this.#tunnel = await startTunnel({
      app: this.app,
      address: DRIVER_ADDRESS,
      token: () => signer.driver(DRIVER_ADDRESS),
      relays,
      tlsCaFile: options.tlsCa,
      // Listening on the driver's own ports as well keeps another job from picking them.
      dials: hasIpv6Loopback()
        ? [
            { port: ports.driverRpc, class: 'urgent' },
            { port: ports.driverBlocks, class: 'bulk' },
            { port: ports.executorBlocks, class: 'bulk' },
          ]
        : [{ port: ports.executorBlocks, class: 'bulk' }],
      serves: [serve(ports.driverRpc), serve(ports.driverBlocks)],
      onControl: (peer, channel) => this.#functions?.handleControl(peer, channel),
      endpoint: endpointOverrides(options) as Record<string, number>,
      logger: this.#logger.child({ part: 'tunnel' }),
    })
    this.#tunnel.ended.then((error) => {
      if (error === undefined) return
      this.#fail(new AgentError('tunnel-lost', `the relay is lost: ${error.message}`, { cause: error }))
    })
  }

  #startFunctions(relays: readonly string[], signer: Signer, ports: SessionPorts): void {
    const { options, context, sparkHome, writeLine } = this.#given
    const { facade, ui, ...sparkPorts } = ports
    this.#provider = createLocalProvider({
      shimCommand: context.selfCommand(['shim']),
      sparkHome,
      logDir: this.#logDir,
      egress: options.egress,
      hide: [this.dir, ...(options.secretFile === undefined ? [] : [options.secretFile])],
      env: { [RUN_MARK]: this.run, ...endpointEnvironment(options) },
      logger: this.#logger.child({ part: 'local' }),
    })
    const payload: PayloadFrame = {
      version: 1,
      app: this.app,
      driverAddress: DRIVER_ADDRESS,
      relays: [...relays],
      ports: sparkPorts,
      confDir: readConfDir(this.settings.confDir),
      maxLifetimeMs: options.maxLifetimeMs,
      ...(options.tlsCa === undefined ? {} : { tlsCa: readFileSync(options.tlsCa, 'utf8') }),
    }
    this.#functions = new Functions({
      provider: this.#provider,
      payload,
      ledger: this.ledger,
      signToken: (address) => signer.executor(address),
      retire: (address) => this.#tunnel?.retire(address, signer.generation),
      hopeless: (reason) => this.#fail(new AgentError('start-failures', reason)),
      newSparkApplication: (application) => setImmediate(() => this.#endOtherApplications(application)),
      writeLine,
      now: () => this.now(),
      logger: this.#logger.child({ part: 'functions' }),
    })
    this.#pods = createPods({
      namespace: NAMESPACE,
      maxExecutors: options.maxExecutors,
      instances: this.settings.dynamicAllocation ? 0 : this.settings.instances,
      startDeadlineMs: options.startDeadlineMs,
      clock: systemClock,
      logger: this.#logger.child({ part: 'pods' }),
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
        this.#logger.debug({ pod: pod.metadata.name, error: (error as Error).message }, 'gone already')
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
    if (stats !== undefined) this.ledger.driverTraffic(stats.peers)
  }

  #fail(error: AgentError): void {
    if (!this.#isClosing) this.#reportFailed(error)
  }

  get #logDir(): string {
    return this.#given.options.logDir ?? join(this.dir, 'logs')
  }

  #logFile(application: string, executor: string): string | undefined {
    const record = this.ledger.find(application, executor)
    return record === undefined ? undefined : join(this.#logDir, `${record.pod}.log`)
  }

  async #keepLogs(): Promise<void> {
    if (this.#given.options.logDir !== undefined || this.ledger.executors.length === 0) return
    const kept = keptLogsDir(this.dir)
    const isKept = await rename(this.#logDir, kept).then(
      () => true,
      () => false,
    )
    if (isKept) this.#given.writeLine(`logs of the executors: ${kept}`)
  }

  /** What Spark's driver is started with: the user's environment, less ours, and what the settings say. */
  #driverEnvironment(): NodeJS.ProcessEnv {
    const { sparkHome, python } = this.#given
    const environment: NodeJS.ProcessEnv = { ...this.#ownEnvironment(), SPARK_HOME: sparkHome }
    if (python !== undefined && !environment.PYSPARK_PYTHON) environment.PYSPARK_PYTHON = python
    for (const [name, value] of Object.entries(this.settings.env)) {
      if (value === undefined) delete environment[name]
      else environment[name] = value
    }
    return environment
  }

  /** For children: marked, and without our own variables (they hold a secret, or options meant for this process). */
  #ownEnvironment(): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = {}
    for (const [name, value] of Object.entries(process.env)) {
      if (!name.startsWith('SLR_') || name === 'SLR_CACHE') environment[name] = value
    }
    environment[RUN_MARK] = this.run
    return environment
  }
}

interface SessionPorts {
  readonly driverRpc: number
  readonly driverBlocks: number
  readonly executorBlocks: number
  readonly facade: number
  readonly ui: number
}

/** Endpoint options for the shims, which read them as theirs. */
function endpointEnvironment(options: SubmitOptions | AgentOptions): Record<string, string> {
  return {
    SLR_HANDSHAKE: `${options.handshakeMs}ms`,
    SLR_KEEPALIVE: `${options.keepaliveMs}ms`,
    SLR_SILENCE: `${options.silenceMs}ms`,
    SLR_LINGER: `${options.lingerMs}ms`,
    SLR_WINDOW: String(options.windowBytes),
    SLR_BUDGET: String(options.budgetBytes),
    SLR_SEND_BUDGET: String(options.sendBudgetBytes),
  }
}
