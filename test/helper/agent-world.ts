/**
 * The agent's orchestration without Spark, relay or namespaces: the real table of pods, a
 * provider that does what the test says, and control streams that the test speaks on.
 */
import { pino } from 'pino'
import { Functions, type PayloadFrame } from '../../driver-agent/functions.ts'
import { Ledger } from '../../driver-agent/ledger.ts'
import { createPods, type Pods } from '../../driver-agent/pods/index.ts'
import type { FunctionEnd, FunctionHandle, FunctionProvider } from '../../driver-agent/provider.ts'
import type { ShimMessage } from '../../executor-shim/control.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import type { MessageChannel } from '../../relay/loopback/index.ts'
import { ManualClock } from './manual-clock.ts'
import { executorPod, type PostedBody } from './pods.ts'

/** One function that the provider was asked for. */
export interface ScriptedFunction {
  readonly payload: FunctionPayload
  readonly isStopped: boolean
  end(end: FunctionEnd): void
}

export class ScriptedProvider implements FunctionProvider {
  readonly name = 'local'
  readonly started: ScriptedFunction[] = []

  start(payload: FunctionPayload): FunctionHandle {
    let settle: (end: FunctionEnd) => void = () => {}
    const ended = new Promise<FunctionEnd>((resolve) => {
      settle = resolve
    })
    const one = { payload, isStopped: false, end: (end: FunctionEnd) => settle(end) }
    this.started.push(one)
    return {
      id: `scripted-${this.started.length}`,
      ended,
      async stop() {
        one.isStopped = true
        settle({ why: 'stopped', detail: 'asked for' })
      },
    }
  }

  async close(): Promise<void> {}
}

/** The agent's end of a control stream, and what the test does at the shim's. */
export class ScriptedChannel implements MessageChannel {
  readonly peer: string
  readonly received: unknown[] = []
  isClosed = false
  #message: (message: unknown) => void = () => {}
  #end: (error: Error | undefined) => void = () => {}

  constructor(peer: string) {
    this.peer = peer
  }

  send(message: unknown): void {
    this.received.push(message)
  }

  onMessage(handler: (message: unknown) => void): void {
    this.#message = handler
  }

  onEnd(handler: (error: Error | undefined) => void): void {
    this.#end = handler
  }

  close(): void {
    this.isClosed = true
  }

  /** The shim says this. */
  say(message: ShimMessage | Record<string, unknown>): void {
    this.#message(message)
  }

  cut(): void {
    this.#end(new Error('cut'))
  }
}

const payload: PayloadFrame = {
  version: 1,
  app: 'spark-test',
  driverAddress: '127.64.0.1',
  relays: ['unix:/nowhere'],
  ports: { driverRpc: 7077, driverBlocks: 7078, executorBlocks: 7079 },
  confDir: {},
  maxLifetimeMs: 900_000,
}

export class AgentWorld {
  readonly clock = new ManualClock()
  readonly provider = new ScriptedProvider()
  readonly ledger = new Ledger('127.64.0.1', 0)
  readonly retired: string[] = []
  readonly hopeless: string[] = []
  readonly newApplications: string[] = []
  readonly lines: string[] = []
  /** Warnings and worse of our own log. */
  readonly log: ({ readonly msg: string } & Readonly<Record<string, unknown>>)[] = []
  readonly pods: Pods
  readonly functions: Functions
  /** Replaced by tests that want signing to fail or to wait. */
  signToken: (address: string) => Promise<string> = async (address) => `token of ${address}`

  constructor(options: { maxExecutors?: number; instances?: number } = {}) {
    const logger = pino(
      { level: 'warn' },
      { write: (line: string) => void this.log.push(JSON.parse(line) as { msg: string }) },
    )
    this.functions = new Functions({
      provider: this.provider,
      payload,
      ledger: this.ledger,
      signToken: (address) => this.signToken(address),
      retire: (address) => this.retired.push(address),
      hopeless: (reason) => this.hopeless.push(reason),
      newSparkApplication: (application) => this.newApplications.push(application),
      writeLine: (line) => this.lines.push(line),
      now: () => this.clock.now(),
      logger,
    })
    this.pods = createPods({
      namespace: 'test',
      maxExecutors: options.maxExecutors ?? 10,
      instances: options.instances ?? 2,
      clock: this.clock,
      logger,
      output: this.functions,
    })
    this.functions.serve(this.pods)
  }

  /** Spark posts executor `number`; settles when the provider has been asked. */
  async post(number: number, change?: (body: PostedBody) => void): Promise<void> {
    const body = executorPod(number)
    change?.(body)
    this.pods.create(body)
    await this.settle()
  }

  /** Lets promises and immediates that are due run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  /** The shim of the function number `index` opens its control stream and says its first word. */
  connect(index: number): ScriptedChannel {
    const started = this.provider.started[index]
    if (started === undefined) throw new Error(`function ${index} was not started`)
    const { address, pod, sparkVersion } = started.payload
    const channel = new ScriptedChannel(address)
    this.functions.handleControl(address, channel)
    channel.say({
      is: 'started',
      pod: pod.name,
      uid: pod.uid,
      address,
      sparkVersion,
      shimPid: 7,
      residentBytes: 50_000_000,
      attachedMs: 5,
    })
    return channel
  }
}
