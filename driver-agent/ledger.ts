/**
 * What a run did, written down as it happens: functions, their ends, bytes between
 * addresses. Pure bookkeeping; session.ts writes, live-line.ts and summary.ts read.
 */
import { type Bill, billOf, type FunctionUse } from './cost.ts'

/** `starting`: asked for. `running`: its executor has dialled the driver. `draining`: told to end. */
export type Phase = 'starting' | 'running' | 'draining' | 'ended'

export interface PeerTraffic {
  readonly peer: string
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly streams: number
}

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
  resumes: number
  traffic: readonly PeerTraffic[]
}

export type NewExecutor = Pick<
  ExecutorRecord,
  'address' | 'pod' | 'executorId' | 'sparkApplication' | 'memoryBytes'
>

export const DRIVER = 'driver'

/** Bytes from row to column; `names` and `bytes` have the same order. */
export interface Matrix {
  readonly names: readonly string[]
  readonly bytes: readonly (readonly number[])[]
}

export class Ledger {
  readonly startedMs: number
  readonly driverAddress: string
  readonly #executors = new Map<string, ExecutorRecord>()
  #driverTraffic: readonly PeerTraffic[] = []

  /** `nowMs`: any monotonic time; all later times are on the same clock. */
  constructor(driverAddress: string, nowMs: number) {
    this.driverAddress = driverAddress
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
      resumes: 0,
      traffic: [],
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

  driverTraffic(traffic: readonly PeerTraffic[]): void {
    this.#driverTraffic = traffic
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

  /** All bytes that crossed the relay, as far as both ends have told. */
  relayedBytes(): number {
    return this.matrix()
      .bytes.flat()
      .reduce((sum, bytes) => sum + bytes, 0)
  }

  /**
   * Who sent how much to whom. Each pair is told by both ends; a killed executor's last
   * report is missing, so the larger of the two counts.
   */
  matrix(): Matrix {
    const members = [
      { name: DRIVER, address: this.driverAddress, traffic: this.#driverTraffic },
      ...this.executors.map((record) => ({
        name: record.executorId,
        address: record.address,
        traffic: record.traffic,
      })),
    ]
    const index = new Map(members.map((member, at) => [member.address, at]))
    const bytes = members.map(() => members.map(() => 0))
    const raise = (from: number, to: number, count: number): void => {
      const row = bytes[from]
      if (row !== undefined) row[to] = Math.max(row[to] ?? 0, count)
    }
    members.forEach((member, at) => {
      for (const peer of member.traffic) {
        const other = index.get(peer.peer)
        if (other === undefined || other === at) continue
        raise(at, other, peer.sentBytes)
        raise(other, at, peer.receivedBytes)
      }
    })
    return { names: members.map((member) => member.name), bytes }
  }
}
