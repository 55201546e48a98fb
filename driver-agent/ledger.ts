/**
 * What a run did, written down as it happens: functions, their ends, bytes between
 * addresses. Pure bookkeeping; session.ts writes, live-line.ts and summary.ts read.
 */
import type { PeerBytes } from '../relay/loopback/index.ts'
import { type Bill, billOf, type FunctionUse } from './cost.ts'
import { type Matrix, type Member, type RelayedBytes, TrafficBook } from './traffic-book.ts'

/** `starting`: asked for. `running`: its executor has dialled the driver. `draining`: told to end. */
export type Phase = 'starting' | 'running' | 'draining' | 'ended'

export interface ExecutorRecord {
  readonly address: string
  readonly pod: string
  /** Spark's name for the executor within its application: 1, 2 … */
  readonly executorId: string
  /** `spark-app-selector` of its pod. */
  readonly sparkApplication: string
  readonly memoryBytes: number
  readonly startedMs: number
  phase: Phase
  /** From the start of the function to both links attached, JVM spawned, first call to the driver, ms. */
  attachedAfterMs: number | undefined
  jvmAfterMs: number | undefined
  rpcAfterMs: number | undefined
  endedMs: number | undefined
  /** Why it ended, for people. */
  end: string | undefined
  exitCode: number | undefined
  jvmMaxResidentBytes: number | undefined
  shimResidentBytes: number | undefined
  /** Of the whole function, shim and Pythons among it; known at its end. */
  peakBytes: number | undefined
  resumes: number
}

export type NewExecutor = Pick<
  ExecutorRecord,
  'address' | 'pod' | 'executorId' | 'sparkApplication' | 'memoryBytes'
>

export const DRIVER = 'driver'

export class Ledger {
  readonly startedMs: number
  readonly driverAddress: string
  readonly #executors = new Map<string, ExecutorRecord>()
  readonly #traffic: TrafficBook

  /** `nowMs`: any monotonic time; all later times are on the same clock. */
  constructor(driverAddress: string, nowMs: number) {
    this.driverAddress = driverAddress
    this.#traffic = new TrafficBook(driverAddress)
    this.startedMs = nowMs
  }

  started(executor: NewExecutor, nowMs: number): ExecutorRecord {
    const record: ExecutorRecord = {
      ...executor,
      startedMs: nowMs,
      phase: 'starting',
      attachedAfterMs: undefined,
      jvmAfterMs: undefined,
      rpcAfterMs: undefined,
      endedMs: undefined,
      end: undefined,
      exitCode: undefined,
      jvmMaxResidentBytes: undefined,
      shimResidentBytes: undefined,
      peakBytes: undefined,
      resumes: 0,
    }
    this.#executors.set(executor.address, record)
    return record
  }

  ended(address: string, end: string, nowMs: number): void {
    const record = this.#executors.get(address)
    if (record === undefined || record.phase === 'ended') return
    record.phase = 'ended'
    record.endedMs = nowMs
    record.end = end
  }

  /** The tunnel at `address` has moved so much in all with each of its peers. */
  traffic(address: string, peers: readonly PeerBytes[]): void {
    this.#traffic.note(address, peers)
  }

  get executors(): readonly ExecutorRecord[] {
    return [...this.#executors.values()]
  }

  executor(address: string): ExecutorRecord | undefined {
    return this.#executors.get(address)
  }

  /** The newest record of an executor of a Spark application. */
  find(sparkApplication: string, executorId: string): ExecutorRecord | undefined {
    return this.executors.findLast(
      (record) => record.sparkApplication === sparkApplication && record.executorId === executorId,
    )
  }

  count(phase: Phase): number {
    let found = 0
    for (const record of this.#executors.values()) if (record.phase === phase) found += 1
    return found
  }

  /** What functions cost so far at Lambda's list price; those that run are counted to `nowMs`. */
  bill(nowMs: number): Bill {
    return billOf(this.uses(nowMs))
  }

  uses(nowMs: number): FunctionUse[] {
    return this.executors.map((record) => ({
      memoryBytes: record.memoryBytes,
      durationMs: (record.endedMs ?? nowMs) - record.startedMs,
    }))
  }

  /** What crossed the relay, as far as both ends have told. */
  relayed(): RelayedBytes {
    return this.#traffic.relayed(this.#members())
  }

  /** Who sent how much to whom; undefined for more than 255 executors. */
  matrix(): Matrix | undefined {
    return this.#traffic.matrix(this.#members())
  }

  #members(): Member[] {
    const executors = this.executors.map(({ executorId, address }) => ({ name: executorId, address }))
    return [{ name: DRIVER, address: this.driverAddress }, ...executors]
  }
}
