/**
 * The stage of a row: Redis, relays and parties with checked streams between any two; and in the
 * end the comparison of every stream's two ends and a look at what the relays still hold.
 */
import { eventually, RedisServer } from '../helper/redis.ts'
import type { StreamReport } from './checked-stream.ts'
import { Crowd, type CrowdOptions } from './crowd.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { type Check, quantile, type RowContext, type RowResult } from './row.ts'

export interface WorldOptions extends Partial<Omit<FleetOptions, 'times' | 'redis'>> {
  /** Default: a redis-server of its own. A function: what each relay is given. */
  readonly redis?: (index: number, server: RedisServer) => string
  readonly withoutRedis?: boolean
  readonly crowd?: Partial<CrowdOptions>
  readonly streams?: { readonly urgent: number; readonly bulk: number }
  /** Called before the relays start; what it answers is called at the end. */
  readonly before?: (server: RedisServer | undefined) => Promise<() => Promise<void>>
}

export class World {
  readonly context: RowContext
  readonly fleet: Fleet
  readonly crowd: Crowd
  readonly redis: RedisServer | undefined
  readonly checks: Check[] = []
  readonly figures: Record<string, number | string> = {}
  /** Streams that the row ends by its fault. */
  mayReset: (stream: StreamReport) => boolean = () => false
  #stalls: number[] = []

  constructor(context: RowContext, fleet: Fleet, crowd: Crowd, redis: RedisServer | undefined) {
    this.context = context
    this.fleet = fleet
    this.crowd = crowd
    this.redis = redis
  }

  /** The redis-server of this world; a row that uses it has asked for it. */
  get redisServer(): RedisServer {
    if (this.redis === undefined) throw new Error('this world has no redis-server of its own')
    return this.redis
  }

  check(what: string, held: boolean, measured: number | string): void {
    this.#add(what, held, measured, false)
  }

  /** For what a machine that stands still for a second can bring about as well as a fault of ours. */
  checkTime(what: string, held: boolean, measured: number | string): void {
    this.#add(what, held, measured, true)
  }

  #add(what: string, held: boolean, measured: number | string, isOfTime: boolean): void {
    const text = typeof measured === 'number' ? String(Math.round(measured * 10) / 10) : measured
    this.checks.push({ what, held, measured: text, isOfTime })
    this.context.say(`${held ? 'held' : 'NOT HELD'}: ${what}: ${text}`)
  }

  /** The stalls since the mark of all streams, or of some, are at most `boundMs`. */
  async checkStalls(
    boundMs: number,
    what = 'stall',
    of: (stream: StreamReport) => boolean = () => true,
  ): Promise<void> {
    const stalls = (await this.crowd.streams())
      .filter((stream) => of(stream) && stream.state === 'open')
      .map(({ stallMs }) => stallMs)
      .sort((a, b) => a - b)
    this.#stalls = [...this.#stalls, ...stalls].sort((a, b) => a - b)
    this.checkTime(
      `${what} ≤ ${boundMs} ms`,
      stalls.length > 0 && (stalls.at(-1) ?? 0) <= boundMs,
      stalls.at(-1) ?? 0,
    )
  }

  get stall(): RowResult['stall'] {
    const stalls = this.#stalls
    return {
      p50: Math.round(quantile(stalls, 0.5)),
      p99: Math.round(quantile(stalls, 0.99)),
      max: Math.round(stalls.at(-1) ?? 0),
    }
  }
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Sets the stage, plays, compares. What the plot throws goes through, after all has ended. */
export async function inWorld(
  row: string,
  context: RowContext,
  options: WorldOptions,
  plot: (world: World) => Promise<void>,
): Promise<RowResult> {
  const server = options.withoutRedis ? undefined : await RedisServer.start()
  let after: (() => Promise<void>) | undefined
  let fleet: Fleet | undefined
  let crowd: Crowd | undefined
  try {
    after = await options.before?.(server)
    const redis = options.redis ?? ((_index: number, one: RedisServer) => one.url)
    fleet = await Fleet.start({
      ...options,
      relays: options.relays ?? 3,
      times: context.times,
      ...(server === undefined ? { redis: undefined } : { redis: (index: number) => redis(index, server) }),
    })
    crowd = await Crowd.start(fleet, { parties: 6, ...options.crowd })
    await crowd.mesh(options.streams ?? { urgent: 1, bulk: 2 })
    await wait(500)
    crowd.mark()
    const world = new World(context, fleet, crowd, server)
    await plot(world)
    const outcome = await crowd.finish(60_000, world.mayReset)
    world.check(
      'every byte of every stream once and in order (SHA-256, offsets)',
      outcome.faults.length === 0,
      outcome.faults.length === 0 ? `${outcome.streams} streams` : outcome.faults.slice(0, 5).join('; '),
    )
    await checkNothingLeft(world)
    return {
      row,
      checks: world.checks,
      streams: outcome.streams,
      bytes: outcome.bytes,
      stall: world.stall,
      figures: world.figures,
    }
  } finally {
    await crowd?.end()
    await fleet?.stop()
    await after?.()
    await server?.stop()
  }
}

/** When all streams are over no relay has a route, a byte in a queue or an OPEN that waits. */
async function checkNothingLeft(world: World): Promise<void> {
  const held = async (): Promise<number> => {
    const totals = await world.fleet.totals()
    return ['slr_relay_routes', 'slr_relay_queued_bytes', 'slr_relay_parked_opens']
      .map((name) => totals.get(name) ?? Number.NaN)
      .reduce((sum, one) => sum + one, 0)
  }
  let left = await held()
  try {
    await eventually('the relays have let go', async () => {
      left = await held()
      return left === 0
    })
  } catch {
    // Said by the check.
  }
  world.check('no route, queued byte or parked open is left at the relays', left === 0, left)
}
