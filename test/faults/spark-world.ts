/**
 * The stage of a row with real Spark: Redis (or a group of it with Sentinels), three relays on
 * Unix sockets with a fault proxy before each, a job with six executors that shuffles round after
 * round, and beside it four endpoints with checked streams that measure stalls. Used by
 * spark.spark.test.ts and scripts/faults.ts.
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Failures, readFailures } from '../../scripts/event-log-failures.ts'
import { FaultProxy } from '../helper/fault-proxy.ts'
import { freePort, RedisServer, startSentinels } from '../helper/redis.ts'
import { jobs, type SparkVersion, type Submitted, startSubmit } from '../spark/harness.ts'
import { Crowd, type Outcome } from './crowd.ts'
import { Fleet, realTimes } from './fleet.ts'

const RELAYS = 3
const EXECUTORS = 6
const ROWS = 400_000
const PARTITIONS = 12

/** server: one, behind a proxy for each relay. sentinels: a master, a replica and three Sentinels, reached without proxies. */
export type SparkDirectory = 'server' | 'sentinels'

export interface SparkOutcome {
  readonly exitCode: number
  readonly failures: Failures
  readonly rounds: number
  /** Answers that were not what arithmetic says. */
  readonly wrongAnswers: number
  readonly streams: Outcome
}

export class SparkWorld {
  readonly fleet: Fleet
  readonly proxies: readonly FaultProxy[]
  readonly crowd: Crowd
  readonly job: Submitted
  /** Of a group: the master that it began with. */
  readonly redis: RedisServer
  readonly #stopRedis: () => Promise<void>
  /** Before Redis, one a relay. */
  readonly redisProxies: readonly FaultProxy[]

  private constructor(
    redis: RedisServer,
    stopRedis: () => Promise<void>,
    redisProxies: readonly FaultProxy[],
    fleet: Fleet,
    proxies: readonly FaultProxy[],
    crowd: Crowd,
    job: Submitted,
  ) {
    this.redisProxies = redisProxies
    this.redis = redis
    this.#stopRedis = stopRedis
    this.fleet = fleet
    this.proxies = proxies
    this.crowd = crowd
    this.job = job
  }

  /** Settles when the job is in its second round. */
  static async start(version: SparkVersion, directory: SparkDirectory = 'server'): Promise<SparkWorld> {
    const group = directory === 'sentinels' ? await startSentinels() : undefined
    const redis = group?.servers[0] ?? (await RedisServer.start())
    const redisProxies: FaultProxy[] = []
    for (let index = 0; group === undefined && index < RELAYS; index++)
      redisProxies.push(await FaultProxy.start(`127.0.0.1:${await freePort()}`, `127.0.0.1:${redis.port}`))
    const starting: Promise<FaultProxy>[] = []
    const fleet = await Fleet.start({
      relays: RELAYS,
      times: realTimes,
      redis: (index) => group?.url ?? `redis://${(redisProxies[index] as FaultProxy).listen}`,
      listen: (index, folder) => `unix:${join(folder, `r${index}.sock`)}`,
      advertise: (index, folder) => {
        const url = `unix:${join(folder, `p${index}.sock`)}`
        starting.push(FaultProxy.start(url, `unix:${join(folder, `r${index}.sock`)}`))
        return url
      },
    })
    const proxies = await Promise.all(starting)
    const crowd = await Crowd.start(fleet, { parties: 4, chunkBytes: { urgent: 256, bulk: 2 * 1024 } })
    await crowd.mesh({ urgent: 1, bulk: 2 })
    const job = await startSubmit({
      version,
      options: [
        ...fleet.urls.flatMap((url) => ['--relay', url]),
        ...['--secret-file', fleet.secretFile, '--max-executors', String(EXECUTORS)],
      ],
      conf: {
        'spark.executor.instances': EXECUTORS,
        'spark.executor.memory': '512m',
        'spark.sql.shuffle.partitions': PARTITIONS,
        'spark.sql.adaptive.enabled': false,
        'spark.scheduler.minRegisteredResourcesRatio': 1,
        'spark.scheduler.maxRegisteredResourcesWaitingTime': '180s',
        // What a task may do about a fault is counted, not hidden.
        'spark.speculation': false,
      },
      program: [join(jobs, 'rounds_until.py'), '{result}', '{folder}', String(ROWS), String(PARTITIONS)],
    })
    const stopRedis = (): Promise<void> => (group ?? redis).stop()
    const world = new SparkWorld(redis, stopRedis, redisProxies, fleet, proxies, crowd, job)
    try {
      await job.saw('round 1 begins', 240_000)
    } catch (error) {
      await world.end()
      throw error
    }
    return world
  }

  /** Rounds that have begun. */
  get rounds(): number {
    return [...this.job.output.matchAll(/round \d+ begins/g)].length
  }

  /** Settles when `more` rounds have begun after now. */
  async roundsMore(more: number, withinMs = 120_000): Promise<void> {
    await this.job.saw(`round ${this.rounds + more - 1} begins`, withinMs)
  }

  /** Lets the job come to its end, and the streams. */
  async finish(): Promise<SparkOutcome> {
    writeFileSync(join(this.job.folder, 'enough'), '')
    const exitCode = await this.job.ended
    const events = join(this.job.folder, 'events')
    const name = readdirSync(events).find((each) => !each.startsWith('.'))
    if (name === undefined) throw new Error(`the job wrote no event log:\n${this.job.output.slice(-3_000)}`)
    const failures = readFailures(join(events, name))
    const answers = exitCode === 0 ? (this.job.result() as [number, number, number][]) : []
    const sum = (ROWS * (ROWS - 1)) / 2
    const wrongAnswers = answers.filter(
      ([keys, rows, all]) => keys !== 1000 || rows !== ROWS || all !== sum,
    ).length
    return { exitCode, failures, rounds: answers.length, wrongAnswers, streams: await this.crowd.finish() }
  }

  async end(): Promise<void> {
    await this.job.remove()
    await this.crowd.end()
    await Promise.all([...this.proxies, ...this.redisProxies].map((proxy) => proxy.stop()))
    await this.fleet.stop()
    await this.#stopRedis()
  }
}
