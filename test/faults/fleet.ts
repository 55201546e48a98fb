/**
 * Relays, each a process of its own as an operator runs it, over one real redis-server (or memory,
 * when there is one relay). Every fault that happens to a relay as a whole is a method here.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { diesWithUs } from '../../driver-agent/spawn.ts'
import { expiryIn, generateKeyLine, parseKeys, type SigningKey, signToken } from '../../relay/token/index.ts'
import { freePort } from '../helper/redis.ts'
import { makeTempFolder, type TempFolder } from '../helper/temp-folder.ts'

const entry = fileURLToPath(new URL('../../bin/spark-lambda-relay.js', import.meta.url))

/** The times of relays and endpoints, ms: S, G and the keepalive. */
export interface Times {
  readonly silenceMs: number
  readonly graceMs: number
  readonly keepaliveMs: number
}
/** DESIGN.md's. */
export const realTimes: Times = { silenceMs: 6_000, graceMs: 8_000, keepaliveMs: 2_000 }
/** For npm test: the same behaviour in a quarter of the time. */
export const shortTimes: Times = { silenceMs: 1_500, graceMs: 2_500, keepaliveMs: 500 }

export interface FleetOptions {
  readonly relays: number
  readonly times: Times
  /** `--redis` of relay `index`. Absent: memory. */
  readonly redis?: (index: number) => string
  /** Where relay `index` listens, host and port or Unix path. Default: loopback, a free port. */
  readonly listen?: (index: number, folder: string) => string
  /** What it says of itself when that is another URL than where it listens: a proxy's. */
  readonly advertise?: (index: number, folder: string) => string
  readonly args?: readonly string[]
}

export const testApp = 'faults-test'

/** The sums of a scrape by name, and by name with labels as they were written. */
export type Scrape = ReadonlyMap<string, number>

export class FleetRelay {
  readonly index: number
  /** By which endpoints reach it. */
  readonly url: string
  readonly listen: string
  readonly metricsPort: number
  readonly logFile: string
  readonly #args: readonly string[]
  readonly #secret: string
  #child: ChildProcess | undefined

  constructor(
    index: number,
    url: string,
    listen: string,
    metricsPort: number,
    logFile: string,
    args: readonly string[],
    secret: string,
  ) {
    this.index = index
    this.url = url
    this.listen = listen
    this.metricsPort = metricsPort
    this.logFile = logFile
    this.#args = args
    this.#secret = secret
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Settles when it listens. */
  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a')
    const args = [
      ...['relay', '--announce', '--log-format', 'json', '--listen', this.listen],
      ...['--metrics', `127.0.0.1:${this.metricsPort}`, ...this.#args],
    ]
    // Also when the test is killed, and cannot end it.
    const [program = '', ...rest] = diesWithUs([process.execPath, entry, ...args])
    const child = spawn(program, rest, {
      env: { PATH: process.env.PATH, SLR_SECRET: this.#secret },
      stdio: ['ignore', 'pipe', log],
    })
    closeSync(log)
    this.#child = child
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(
        `relay ${this.index} ended with ${code}: ${readFileSync(this.logFile, 'utf8').slice(-2_000)}`,
      )
    })
    ended.catch(() => {})
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended])
  }

  /** SIGKILL; settles when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }
  /** SIGTERM; settles with its exit code, and after how many ms. */
  async leave(): Promise<{ code: number | null; tookMs: number }> {
    const beganMs = performance.now()
    const code = await this.#end('SIGTERM')
    return { code, tookMs: performance.now() - beganMs }
  }
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return null
    const gone = once(child, 'exit')
    if (signal === 'SIGKILL') child.kill('SIGCONT')
    child.kill(signal)
    const [code] = await gone
    return code as number | null
  }

  async scrape(): Promise<Scrape> {
    const text = await (await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)).text()
    const found = new Map<string, number>()
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:]+)(\{[^}]*\})? (\S+)$/.exec(line)
      if (match === null) continue
      const [, name = '', labels = '', value] = match
      found.set(name, (found.get(name) ?? 0) + Number(value))
      if (labels !== '') found.set(name + labels, Number(value))
    }
    return found
  }

  async isReady(): Promise<boolean> {
    try {
      return (await fetch(`http://127.0.0.1:${this.metricsPort}/readyz`)).ok
    } catch {
      return false
    }
  }
}

export class Fleet {
  readonly folder: string
  readonly #temp: TempFolder
  readonly key: SigningKey
  readonly secretFile: string
  readonly times: Times
  readonly relays: readonly FleetRelay[]

  private constructor(temp: TempFolder, secret: string, times: Times, relays: readonly FleetRelay[]) {
    this.#temp = temp
    this.folder = temp.path
    this.key = parseKeys(secret, 'test')[0] as SigningKey
    this.secretFile = join(this.folder, 'secret')
    writeFileSync(this.secretFile, `${secret}\n`, { mode: 0o600 })
    this.times = times
    this.relays = relays
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const { times } = options
    const temp = makeTempFolder('slr-fleet-', process.env.SLR_TEST_KEEP !== undefined)
    const folder = temp.path
    const secret = generateKeyLine('test', '*')
    const relays: FleetRelay[] = []
    for (let index = 0; index < options.relays; index++) {
      const listen = options.listen?.(index, folder) ?? `127.0.0.1:${await freePort()}`
      const plainUrl = listen.startsWith('unix:') ? listen : `tcp://${listen}`
      const url = options.advertise?.(index, folder) ?? plainUrl
      const redis = options.redis?.(index)
      const args = [
        ...['--silence', `${times.silenceMs}ms`, '--grace', `${times.graceMs}ms`],
        ...['--keepalive', `${times.keepaliveMs}ms`, '--advertise', url],
        ...(redis === undefined ? [] : ['--redis', redis]),
        ...(options.args ?? []),
      ]
      const logFile = join(folder, `relay-${index}.log`)
      relays.push(new FleetRelay(index, url, listen, await freePort(), logFile, args, secret))
    }
    const fleet = new Fleet(temp, secret, times, relays)
    try {
      await Promise.all(relays.map((relay) => relay.start()))
    } catch (error) {
      await fleet.stop()
      throw error
    }
    return fleet
  }

  get urls(): readonly string[] {
    return this.relays.map((relay) => relay.url)
  }

  relayAt(url: string | undefined): FleetRelay {
    const found = this.relays.find((relay) => relay.url === url)
    if (found === undefined) throw new Error(`no relay is reached by ${url}`)
    return found
  }

  async token(
    address: string,
    role: 'driver' | 'executor' | 'tool' = 'executor',
    generation = 1,
  ): Promise<string> {
    return await signToken(this.key, {
      app: testApp,
      addr: address,
      gen: generation,
      role,
      exp: expiryIn(3_600_000),
    })
  }

  /** The scrapes of all that run, added up. */
  async totals(): Promise<Scrape> {
    const sums = new Map<string, number>()
    for (const relay of this.relays) {
      if (!relay.isRunning) continue
      for (const [name, value] of await relay.scrape()) sums.set(name, (sums.get(name) ?? 0) + value)
    }
    return sums
  }

  async stop(): Promise<void> {
    await Promise.all(this.relays.map((relay) => relay.kill()))
    this.#temp.remove()
  }
}
