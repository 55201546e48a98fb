/**
 * A driver, a relay and local functions with real shims, for tests of one executor's life:
 * only the JVM is a stand-in (fake-jvm-main.ts). Everything ends with close().
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { selfCommand } from '../../cli/self.ts'
import { pickFreePorts } from '../../driver-agent/free-ports.ts'
import { type InnerRelay, startInnerRelay } from '../../driver-agent/inner-relay.ts'
import { createLocalProvider, type LocalProviderOptions } from '../../driver-agent/local/index.ts'
import type { FunctionHandle, FunctionProvider } from '../../driver-agent/provider.ts'
import { createSigner, type Signer } from '../../driver-agent/signer.ts'
import { type AgentMessage, type ShimMessage, shimMessage } from '../../executor-shim/control.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import { startTunnel } from '../../relay/loopback/index.ts'
import type { MessageChannel, Tunnel } from '../../relay/loopback/tunnel-types.ts'
import { generateKeyLine } from '../../relay/token/index.ts'
import { examplePayload } from './example-payload.ts'
import type { Birth, FakeOrder } from './fake-jvm-main.ts'
import { recordedPods } from './recorded-pods.ts'

const fakeJvm = fileURLToPath(new URL('./fake-jvm-main.ts', import.meta.url))
const DRIVER = '127.64.0.1'
const APP = 'spark-test'

/** One executor as the driver sees it. */
export class SeenExecutor {
  readonly pod: string
  readonly handle: FunctionHandle
  readonly address: string
  readonly messages: ShimMessage[] = []
  #control: MessageChannel | undefined
  #jvm: Socket | undefined
  readonly born = Promise.withResolvers<Birth>()
  readonly #waiting = new Set<() => void>()

  constructor(pod: string, address: string, handle: FunctionHandle) {
    this.pod = pod
    this.address = address
    this.handle = handle
  }

  hear(message: ShimMessage, control: MessageChannel): void {
    this.#control = control
    this.messages.push(message)
    for (const look of this.#waiting) look()
  }

  meet(jvm: Socket, birth: Birth): void {
    this.#jvm = jvm
    this.born.resolve(birth)
  }

  /** The first message of a kind, now or later. */
  message<K extends ShimMessage['is']>(is: K): Promise<Extract<ShimMessage, { is: K }>> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.messages.find((message) => message.is === is)
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found as Extract<ShimMessage, { is: K }>)
      }
      this.#waiting.add(look)
      look()
    })
  }

  tell(message: AgentMessage): void {
    this.#control?.send(message)
  }

  order(order: FakeOrder): void {
    this.#jvm?.write(`${JSON.stringify(order)}\n`)
  }
}

interface Ports {
  readonly driverRpc: number
  readonly driverBlocks: number
  readonly executorBlocks: number
}

export interface ExecutorOptions {
  readonly maxLifetimeMs?: number
  readonly sparkVersion?: string
  readonly confDir?: Record<string, string>
  /** In place of the local provider. */
  readonly start?: (payload: FunctionPayload) => FunctionHandle
}

/** Made by start(). */
export class ExecutorWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'executor-world-'))
  readonly logDir = join(this.folder, 'logs')
  readonly sparkHome = join(this.folder, 'spark')
  readonly #logger = pino({ level: process.env.SLR_TEST_LOG ?? 'silent' }, pino.destination(2))
  readonly #executors: SeenExecutor[] = []
  readonly #ports: Ports
  #relay!: InnerRelay
  #signer!: Signer
  #tunnel!: Tunnel
  #driver!: Server
  readonly #providers: FunctionProvider[] = []
  readonly #gone = new AbortController()

  static async start(): Promise<ExecutorWorld> {
    const [driverRpc = 0, driverBlocks = 0, executorBlocks = 0] = await pickFreePorts(3)
    const world = new ExecutorWorld({ driverRpc, driverBlocks, executorBlocks })
    await world.#start()
    return world
  }

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Starts a function whose pod is one that Spark asked for. `ended` of its handle settles when it is gone. */
  async executor(
    options: ExecutorOptions = {},
    provider: Partial<LocalProviderOptions> = {},
  ): Promise<SeenExecutor> {
    const { start: _, ...rest } = options
    const number = this.#executors.length + 1
    const address = `127.64.0.${number + 1}`
    const [recorded] = recordedPods('4.3.0')
    if (recorded === undefined) throw new Error('no pod recorded')
    const name = `test-exec-${number}`
    const payload = examplePayload({
      app: APP,
      address,
      driverAddress: DRIVER,
      token: await this.#signer.executor(address),
      relays: [this.#relay.url],
      ports: this.#ports,
      ...rest,
      pod: {
        ...recorded,
        name,
        env: {
          ...recorded.env,
          SPARK_DRIVER_URL: `spark://CoarseGrainedScheduler@${DRIVER}:${this.#ports.driverRpc}`,
          SPARK_EXECUTOR_ID: String(number),
          SPARK_JAVA_OPT_0: `-Dspark.blockManager.port=${this.#ports.executorBlocks}`,
        },
      },
    })
    const start = options.start ?? ((given) => this.provider(provider).start(given))
    const executor = new SeenExecutor(name, address, start(payload))
    this.#executors.push(executor)
    return executor
  }

  provider(options: Partial<LocalProviderOptions>): FunctionProvider {
    const provider = createLocalProvider({
      shimCommand: selfCommand(['shim']),
      sparkHome: this.sparkHome,
      logDir: this.logDir,
      workRoot: join(this.folder, 'work'),
      keep: [this.sparkHome, join(this.folder, 'java')],
      logger: this.#logger,
      ...options,
      env: { JAVA_HOME: join(this.folder, 'java'), SLR_LOG_LEVEL: 'info', ...options.env },
    })
    this.#providers.push(provider)
    return provider
  }

  log(executor: SeenExecutor): string {
    return readFileSync(join(this.logDir, `${executor.pod}.log`), 'utf8')
  }

  /** The relay's process id. */
  get relayPid(): number | undefined {
    return this.#relay.pid
  }

  async closeTunnel(): Promise<void> {
    await this.#tunnel.close()
  }

  stopRelay(): Promise<void> {
    return this.#relay.stop()
  }

  async close(): Promise<void> {
    await Promise.all(this.#providers.map((provider) => provider.close()))
    await this.#tunnel.close()
    await this.#relay.stop()
    this.#gone.abort()
    this.#driver.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const secretFile = join(this.folder, 'keys')
    writeFileSync(secretFile, `${generateKeyLine('test', '*')}\n`, { mode: 0o600 })
    this.#writeFakeSpark('4.3.0')
    this.#signer = await createSigner(secretFile, APP, 600_000)
    this.#relay = await startInnerRelay({
      selfCommand,
      dir: this.folder,
      secretFile,
      listen: [],
      advertise: [],
      giveUpMs: 45_000,
      environment: { ...process.env, SLR_LOG_FORMAT: 'json' },
      logger: this.#logger,
    })
    this.#driver = createServer((socket) => this.#meet(socket))
    await new Promise<void>((resolve) => this.#driver.listen(this.#ports.driverRpc, '::1', resolve))
    this.#tunnel = await startTunnel({
      app: APP,
      address: DRIVER,
      token: () => this.#signer.driver(DRIVER),
      relays: [this.#relay.url],
      dials: [{ port: this.#ports.executorBlocks, class: 'bulk' }],
      serves: [{ port: this.#ports.driverRpc }],
      bulkThread: false,
      endpoint: { goodbyeMs: 0 }, // a driver that goes without waiting for anyone
      onControl: (peer, channel) => {
        channel.onMessage((message) => {
          const executor = this.#executors.find(({ address }) => address === peer)
          executor?.hear(shimMessage.parse(message), channel)
        })
        channel.onEnd(() => {})
      },
      logger: this.#logger.child({ part: 'driver' }),
    })
  }

  #meet(socket: Socket): void {
    socket.on('error', () => {})
    this.#gone.signal.addEventListener('abort', () => socket.destroy())
    const lines = createInterface({ input: socket })
    lines.on('error', () => {}) // the socket's, once more
    lines.once('line', (line) => {
      const birth = JSON.parse(line) as Birth
      const id = birth.args[birth.args.indexOf('--executor-id') + 1]
      this.#executors[Number(id) - 1]?.meet(socket, birth)
    })
  }

  /** A jar that names the version, and a Java that runs the stand-in. */
  #writeFakeSpark(version: string): void {
    mkdirSync(join(this.sparkHome, 'jars'), { recursive: true })
    writeFileSync(join(this.sparkHome, 'jars', `spark-core_2.13-${version}.jar`), '')
    mkdirSync(join(this.folder, 'java', 'bin'), { recursive: true })
    const java = join(this.folder, 'java', 'bin', 'java')
    writeFileSync(java, `#!/bin/sh\nexec ${process.execPath} ${fakeJvm} "$@"\n`)
    chmodSync(java, 0o755)
  }
}
