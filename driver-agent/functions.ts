/**
 * Between the table of pods and what runs them: turns its wishes into functions of the
 * provider and words over control streams, and tells it what became of them. Used by
 * session.ts.
 */
import type { Logger } from 'pino'
import {
  type AgentMessage,
  MAX_LIST,
  MAX_TEXT,
  type ShimMessage,
  shimMessage,
} from '../executor-shim/control.ts'
import type { FunctionPayload } from '../executor-shim/payload.ts'
import type { MessageChannel } from '../relay/loopback/tunnel-types.ts'
import { isMilestone } from '../relay/time/milestone.ts'
import type { Ledger } from './ledger.ts'
import { LogCap } from './log-cap.ts'
import type { PodEvent, Pods, PodsOutput, StartRequest } from './pods/index.ts'
import type { FunctionEnd, FunctionHandle, FunctionProvider } from './provider.ts'

/** An executor that Spark has told to go is given this long before it is told by us. */
const GOES_BY_ITSELF_MS = 1_000

/** What every payload of this run has in common. */
export type PayloadFrame = Omit<FunctionPayload, 'address' | 'token' | 'pod' | 'sparkVersion'>

export interface FunctionsOptions {
  readonly provider: FunctionProvider
  readonly payload: PayloadFrame
  readonly ledger: Ledger
  /** Token of an executor's address. Must outlive the function. */
  readonly signToken: (address: string) => Promise<string>
  /** The address is over: relays are to tell its peers. */
  readonly retire: (address: string) => void
  /** Executors cannot start here; the job is to end with this sentence. */
  readonly hopeless: (reason: string) => void
  /** A function of a new Spark application is asked for: a driver has been started again over this agent. */
  readonly newSparkApplication: (application: string) => void
  /** Where executors' warnings go, a line each. */
  readonly writeLine: (line: string) => void
  /** Monotonic, ms: the ledger's clock. */
  readonly now: () => number
  readonly logger: Logger
}

interface Running {
  readonly uid: string
  readonly address: string
  readonly executorId: string
  handle: FunctionHandle | undefined
  channel: MessageChannel | undefined
  readonly logCap: LogCap
  /** Words over its control streams that were none of ours. */
  badWords: number
  killed: boolean
}

/** After so many words that are none, a control stream is closed, and no longer heard. */
const MAX_BAD_WORDS = 100

export class Functions implements PodsOutput {
  readonly #options: FunctionsOptions
  readonly #byUid = new Map<string, Running>()
  readonly #byAddress = new Map<string, Running>()
  #pods: Pods | undefined
  #sparkApplication: string | undefined
  #droppedLogLines = 0

  constructor(options: FunctionsOptions) {
    this.#options = options
  }

  /** The table that this serves; set once, before anything is asked for. */
  serve(pods: Pods): void {
    this.#pods = pods
  }

  get droppedLogLines(): number {
    return this.#droppedLogLines
  }

  startFunction(request: StartRequest): void {
    const executorId = request.pod.labels['spark-exec-id'] ?? request.pod.name
    const application = request.pod.labels['spark-app-selector'] ?? ''
    const running: Running = {
      uid: request.uid,
      address: request.address,
      executorId,
      handle: undefined,
      channel: undefined,
      logCap: new LogCap(),
      badWords: 0,
      killed: false,
    }
    this.#byUid.set(request.uid, running)
    this.#byAddress.set(request.address, running)
    this.#options.ledger.started(
      {
        address: request.address,
        pod: request.pod.name,
        executorId,
        sparkApplication: application,
        memoryBytes: request.pod.memoryBytes,
      },
      this.#options.now(),
    )
    if (application !== this.#sparkApplication) {
      if (this.#sparkApplication !== undefined) this.#options.newSparkApplication(application)
      this.#sparkApplication = application
    }
    this.#start(running, request).catch((error: Error) => {
      this.#ended(running, { why: 'not-started', detail: error.message, retryable: false })
    })
  }

  /**
   * Spark deletes a pod right after it has told the executor to go, which then exits 0 by
   * itself: a SIGTERM at once would turn that into an error in everybody's log.
   */
  stopFunction(uid: string, reason: string, graceMs: number): void {
    const pauseMs = Math.min(GOES_BY_ITSELF_MS, graceMs / 2)
    setTimeout(() => this.#tell(uid, { is: 'stop', reason, graceMs: graceMs - pauseMs }), pauseMs).unref()
  }

  drainFunction(uid: string, reason: string): void {
    this.#tell(uid, { is: 'drain', reason })
  }

  killFunction(uid: string, reason: string): void {
    const running = this.#byUid.get(uid)
    if (running === undefined) return
    running.killed = true
    this.#options.logger.debug({ executor: running.executorId, reason }, 'killing a function')
    running.handle?.stop().catch((error: Error) => {
      this.#options.logger.error({ executor: running.executorId, error: error.message }, 'could not stop it')
    })
  }

  podEvent(event: PodEvent): void {
    const { ledger, logger } = this.#options
    const record = event.address === undefined ? undefined : ledger.executor(event.address)
    if (record !== undefined && record.phase !== 'ended') {
      if (event.to === 'running') record.phase = 'running'
      else if (event.to === 'draining' || event.to === 'stopping') record.phase = 'draining'
      else if (event.to === 'ended') record.end = firstLine(event.reason) ?? event.outcome
    }
    const seen = {
      executor: event.executorId,
      from: event.from,
      to: event.to,
      ageMs: Math.round(event.ageMs),
      reason: firstLine(event.reason),
    }
    if (event.outcome === 'failed') logger.warn(seen, 'an executor failed')
    else logger.debug(seen, 'pod')
  }

  onHopeless(reason: string): void {
    this.#options.hopeless(reason)
  }

  /** A control stream of a shim: `peer` is its address, which its token has proved. */
  handleControl(peer: string, channel: MessageChannel): void {
    const running = this.#byAddress.get(peer)
    if (running === undefined) {
      this.#options.logger.debug({ peer }, 'a control stream of an address that has no function; closed')
      channel.close()
      return
    }
    // A shim has one; job code, which may open others, would have them pile up here.
    running.channel?.close()
    running.channel = channel
    channel.onMessage((message) => {
      if (running.channel !== channel) return
      const problem = isTooLong(message) ? 'a list or a text in it is too long' : this.#take(running, message)
      if (problem !== undefined) this.#misheard(running, channel, problem)
    })
    channel.onEnd(() => {
      if (running.channel === channel) running.channel = undefined
    })
  }

  /** Undefined: it was understood. */
  #take(running: Running, message: unknown): string | undefined {
    const read = shimMessage.safeParse(message)
    if (!read.success) return read.error.issues[0]?.message.slice(0, 200) ?? 'no reason'
    this.#heard(running, read.data)
    return undefined
  }

  #misheard(running: Running, channel: MessageChannel, problem: string): void {
    running.badWords += 1
    const count = running.badWords
    if (isMilestone(count))
      this.#options.logger.warn(
        { peer: running.address, count, problem },
        'a word of a shim was not understood',
      )
    if (count < MAX_BAD_WORDS) return
    running.channel = undefined
    channel.close()
  }

  async #start(running: Running, request: StartRequest): Promise<void> {
    const token = await this.#options.signToken(request.address)
    if (running.killed) throw new Error('ended before it was started')
    const handle = this.#options.provider.start({
      ...this.#options.payload,
      address: request.address,
      token,
      pod: { ...request.pod, env: withAttributes(request.pod.env) },
      sparkVersion: request.sparkVersion,
    })
    running.handle = handle
    this.#options.logger.debug(
      { executor: running.executorId, function: handle.id, address: running.address },
      'function',
    )
    handle.ended.then((end) => this.#ended(running, end))
  }

  #ended(running: Running, end: FunctionEnd): void {
    const { ledger, now, retire } = this.#options
    const record = ledger.executor(running.address)
    if (record !== undefined) {
      record.peakBytes = end.peakBytes
      if (end.why === 'exited') record.exitCode = end.code
    }
    const how = end.why === 'exited' ? `exit code ${end.code}` : `${end.why}: ${end.detail}`
    this.#byUid.delete(running.uid)
    this.#byAddress.delete(running.address)
    this.#pods?.handleFunctionEnd(running.uid, end)
    ledger.ended(running.address, record?.end ?? how, now())
    // Not before: what the shim has to say at its end travels over streams of this address.
    retire(running.address)
  }

  #tell(uid: string, message: AgentMessage): void {
    this.#byUid.get(uid)?.channel?.send(message)
  }

  #heard(running: Running, message: ShimMessage): void {
    const record = this.#options.ledger.executor(running.address)
    const afterMs = record === undefined ? 0 : Math.round(this.#options.now() - record.startedMs)
    switch (message.is) {
      case 'started':
        if (record) {
          record.attachedAfterMs = afterMs
          record.shimResidentBytes = message.residentBytes
        }
        break
      case 'jvm-running':
        if (record) record.jvmAfterMs = afterMs
        break
      case 'rpc-opened':
        if (record) record.rpcAfterMs = afterMs
        break
      case 'exited':
        if (record) record.jvmMaxResidentBytes = message.maxResidentBytes
        break
      case 'traffic':
        if (record) {
          this.#options.ledger.traffic(running.address, message.peers)
          record.resumes = message.resumes
          record.shimResidentBytes = Math.max(record.shimResidentBytes ?? 0, message.shimResidentBytes)
        }
        return
      case 'log':
        this.#log(running, message.lines, message.dropped)
        return
      case 'draining':
        break
    }
    this.#pods?.handleShimMessage(running.address, message)
  }

  #log(running: Running, lines: readonly string[], dropped: number): void {
    const { logCap, executorId } = running
    const nowMs = this.#options.now()
    for (const line of lines) {
      if (logCap.passes(line, nowMs)) this.#options.writeLine(`[executor ${executorId}] ${line}`)
      else this.#droppedLogLines += 1
    }
    this.#droppedLogLines += dropped
    const untold = dropped + logCap.takeDropped()
    if (untold > 0 && logCap.passes('', nowMs))
      this.#options.writeLine(`[executor ${executorId}] … ${untold} more lines are in its log file`)
  }
}

/**
 * What the pattern of `spark.ui.custom.executor.log.url` is filled with. Spark 4 sets them
 * in its pods, Spark 3.5 does not, and its executors pass on whatever has this prefix.
 */
function withAttributes(env: Readonly<Record<string, string>>): Record<string, string> {
  const attributes: Record<string, string> = {}
  if (env.SPARK_APPLICATION_ID !== undefined)
    attributes.SPARK_EXECUTOR_ATTRIBUTE_APP_ID = env.SPARK_APPLICATION_ID
  if (env.SPARK_EXECUTOR_ID !== undefined)
    attributes.SPARK_EXECUTOR_ATTRIBUTE_EXECUTOR_ID = env.SPARK_EXECUTOR_ID
  return { ...attributes, ...env }
}

/** Checked before the schema, which says of each element what is wrong with it. */
function isTooLong(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  return Object.values(message).some(
    (value) =>
      (Array.isArray(value) && value.length > MAX_LIST) ||
      (typeof value === 'string' && value.length > MAX_TEXT),
  )
}

/** Reasons may carry the last lines of a JVM, which pods.ts logs in full. */
function firstLine(text: string | undefined): string | undefined {
  return text?.split('\n', 1)[0]
}
