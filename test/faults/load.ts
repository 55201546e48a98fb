/**
 * 1,000 endpoints that attach at once, then many idle streams over them: how fast, and what each
 * costs the relays and the endpoints. Used by load.slow.test.ts and scripts/faults.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { RedisServer } from '../helper/redis.ts'
import type { FromLoad, ToLoad } from './crowd-main.ts'
import { Fleet, realTimes } from './fleet.ts'
import { quantile } from './row.ts'
import { wait } from './world.ts'

const main = fileURLToPath(new URL('./crowd-main.ts', import.meta.url))

export interface LoadResult {
  readonly endpoints: number
  readonly attach: {
    readonly p50Ms: number
    readonly p99Ms: number
    readonly maxMs: number
    readonly aSecond: number
  }
  readonly failures: readonly string[]
  /** Links that were lost while all was idle. */
  readonly detached: number
  /** Attached links of the fullest relay over the mean. */
  readonly skew: number
  readonly streams: number
  readonly resets: number
  /** Resident bytes that one more endpoint (both its links) and one more idle stream cost. */
  readonly relayBytesAnEndpoint: number
  readonly relayBytesAStream: number
  readonly endpointBytesAStream: number
  readonly endpointBytesAnEndpoint: number
  readonly redisCommandsAStream: number
}

class Loader {
  readonly #child: ChildProcess
  constructor() {
    this.#child = spawn(process.execPath, ['--expose-gc', main], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
  }
  async next(is: FromLoad['is']): Promise<FromLoad> {
    for (;;) {
      const [message] = (await Promise.race([
        once(this.#child, 'message'),
        once(this.#child, 'exit').then(([code]) => {
          throw new Error(`the load program ended with ${code}`)
        }),
      ])) as [FromLoad]
      if (message.is === is) return message
    }
  }
  tell(order: ToLoad): void {
    this.#child.send(order)
  }
  async ask(order: ToLoad, is: FromLoad['is']): Promise<FromLoad> {
    const answer = this.next(is)
    this.tell(order)
    return await answer
  }
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

export async function runLoad(
  options: {
    readonly endpoints: number
    readonly streams: number
    readonly relays: number
    readonly processes: number
    readonly holdMs: number
  },
  say: (line: string) => void = () => {},
): Promise<LoadResult> {
  const redis = await RedisServer.start()
  const loaders: Loader[] = []
  let fleet: Fleet | undefined
  try {
    fleet = await Fleet.start({
      relays: options.relays,
      times: realTimes,
      redis: () => redis.url,
      args: ['--log-level', 'warn', '--max-streams', '100000'],
    })
    const { relays, urls } = fleet
    for (let i = 0; i < options.processes; i++) loaders.push(new Loader())
    await Promise.all(loaders.map((loader) => loader.next('ready')))
    const relayMemory = (): number => relays.reduce((sum, relay) => sum + residentBytes(relay.pid), 0)
    const loadMemory = async (): Promise<number> => {
      let sum = 0
      for (const loader of loaders) {
        const { heapBytes = 0, externalBytes = 0 } = await loader.ask({ do: 'memory' }, 'memory')
        sum += heapBytes + externalBytes
      }
      return sum
    }
    const empty = { relays: relayMemory(), loaders: await loadMemory() }
    const each = Math.ceil(options.endpoints / options.processes)
    const groups = await Promise.all(
      loaders.map(async (_, group) => {
        const size = Math.min(each, options.endpoints - group * each)
        return await Promise.all(
          Array.from({ length: size }, async (_unused, i) => {
            const address = `127.64.${group + 1}.${i + 1}`
            return { address, token: await (fleet as Fleet).token(address) }
          }),
        )
      }),
    )
    const beganMs = performance.now()
    const attached = await Promise.all(
      loaders.map((loader, at) =>
        loader.ask({ do: 'attach', relays: urls, who: groups[at] ?? [] }, 'attached'),
      ),
    )
    const tookMs = performance.now() - beganMs
    const attachMs = attached.flatMap((one) => one.attachMs ?? []).sort((a, b) => a - b)
    say(`${attachMs.length} links attached in ${Math.round(tookMs)} ms`)
    await wait(1_000)
    const home = { relays: relayMemory(), loaders: await loadMemory() }
    const links = await Promise.all(
      relays.map(async (relay) => {
        const scrape = await relay.scrape()
        return [...scrape]
          .filter(([name]) => name.startsWith('slr_relay_links{') && name.includes('attached'))
          .reduce((sum, [, value]) => sum + value, 0)
      }),
    )
    const commands = async (): Promise<number> => {
      const totals = await (fleet as Fleet).totals()
      return ['lookup', 'claim'].reduce(
        (sum, one) => sum + (totals.get(`slr_relay_directory_commands_total{command="${one}"}`) ?? 0),
        0,
      )
    }
    const commandsBefore = await commands()
    const perEndpoint = Math.ceil(options.streams / options.endpoints)
    const opened = await Promise.all(
      loaders.map((loader) => loader.ask({ do: 'open', each: perEndpoint }, 'open')),
    )
    const streams = opened.reduce((sum, one) => sum + (one.opened ?? 0), 0)
    say(`${streams} idle streams`)
    const commandsAfter = await commands()
    await wait(options.holdMs)
    const full = { relays: relayMemory(), loaders: await loadMemory() }
    const last = await Promise.all(loaders.map((loader) => loader.ask({ do: 'memory' }, 'memory')))
    return {
      endpoints: options.endpoints,
      attach: {
        p50Ms: Math.round(quantile(attachMs, 0.5)),
        p99Ms: Math.round(quantile(attachMs, 0.99)),
        maxMs: Math.round(attachMs.at(-1) ?? 0),
        aSecond: Math.round(attachMs.length / (tookMs / 1000)),
      },
      failures: attached.flatMap((one) => one.failures ?? []),
      detached: last.reduce((sum, one) => sum + (one.detached ?? 0), 0),
      skew: Math.round((Math.max(...links) / (links.reduce((a, b) => a + b, 0) / links.length)) * 100) / 100,
      streams,
      resets: last.reduce((sum, one) => sum + (one.resets ?? 0), 0),
      relayBytesAnEndpoint: Math.round((home.relays - empty.relays) / options.endpoints),
      relayBytesAStream: Math.round((full.relays - home.relays) / streams),
      endpointBytesAStream: Math.round((full.loaders - home.loaders) / streams / 2),
      endpointBytesAnEndpoint: Math.round((home.loaders - empty.loaders) / options.endpoints),
      redisCommandsAStream: Math.round(((commandsAfter - commandsBefore) / streams) * 1000) / 1000,
    }
  } finally {
    await Promise.all(loaders.map((loader) => loader.end()))
    await fleet?.stop()
    await redis.stop()
  }
}
