/**
 * A relay and any number of `exec`s, each a process of its own as a user would start it.
 * Everything that was started ends with close(), by its pid. Used by the tests of `exec`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { selfCommand } from '../../cli/self.ts'
import { startTunnel, type Tunnel, type TunnelOptions } from '../../relay/loopback/index.ts'
import { expiryIn, generateKeyLine, parseKeys, type SigningKey, signToken } from '../../relay/token/index.ts'

export interface Finished {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Running {
  readonly child: ChildProcess
  /** When it and all that holds its output has ended. */
  readonly finished: Promise<Finished>
}

export interface ExecHow {
  readonly dial?: readonly string[]
  readonly serve?: readonly string[]
  /** More options of exec. */
  readonly options?: readonly string[]
  /** Default: the world's secret file. */
  readonly credentials?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** What it is started by: setpriv and its options. */
  readonly as?: readonly string[]
}

const APP = 'exec-test'

export class ExecWorld {
  readonly dir: string
  readonly key: SigningKey
  readonly secretFile: string
  readonly #relayOptions: readonly string[]
  #relay: ChildProcess | undefined
  readonly #running = new Set<ChildProcess>()
  readonly #tunnels: Tunnel[] = []

  private constructor(relayOptions: readonly string[]) {
    this.#relayOptions = relayOptions
    this.dir = mkdtempSync(join(tmpdir(), 'slr-exec-'))
    this.secretFile = join(this.dir, 'secret')
    const line = generateKeyLine('test', '*')
    writeFileSync(this.secretFile, `${line}\n`, { mode: 0o600 })
    this.key = parseKeys(line, 'test')[0] as SigningKey
  }

  /** `relayOptions`: more options of every relay that this world starts. */
  static async start(relayOptions: readonly string[] = []): Promise<ExecWorld> {
    const world = new ExecWorld(relayOptions)
    await world.startRelay()
    return world
  }

  get relayUrl(): string {
    return `unix:${join(this.dir, 'relay.sock')}`
  }

  /** Answers when it listens. */
  async startRelay(as: readonly string[] = []): Promise<void> {
    const [program = '', ...args] = [
      ...as,
      ...selfCommand([
        ...['relay', '--listen', this.relayUrl, '--secret-file', this.secretFile],
        ...['--announce', '--log-level', 'error', ...this.#relayOptions],
      ]),
    ]
    const relay = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#relay = relay
    const ended = once(relay, 'exit').then(([code]) => {
      throw new Error(`the relay ended with ${code}`)
    })
    await Promise.race([once(relay.stdout as NodeJS.ReadableStream, 'data'), ended])
    ended.catch(() => {})
  }

  async killRelay(): Promise<void> {
    const relay = this.#relay
    this.#relay = undefined
    if (relay === undefined || relay.exitCode !== null || relay.signalCode !== null) return
    const gone = once(relay, 'exit')
    relay.kill('SIGKILL')
    await gone
  }

  /** Starts `exec` with `command` behind it. `address` is the last part: 2 is 127.64.0.2. */
  exec(address: number, command: readonly string[], how: ExecHow = {}): Running {
    const { dial = [], serve = [], options = [], credentials = ['--secret-file', this.secretFile] } = how
    const [program = '', ...args] = [
      ...(how.as ?? []),
      ...selfCommand([
        ...['exec', '--relay', this.relayUrl, '--app', APP, '--address', `127.64.0.${address}`],
        ...credentials,
        ...dial.flatMap((port) => ['--dial', port]),
        ...serve.flatMap((port) => ['--serve', port]),
        ...['--log-level', 'error', ...options, '--', ...command],
      ]),
    ]
    const child = spawn(program, args, {
      // Node's pipes are sockets, which rsync's daemon would take for a connection from inetd.
      stdio: [how.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...how.environment },
    })
    this.#running.add(child)
    child.stdin?.on('error', () => {}).end(how.stdin)
    const finished = Promise.all([
      once(child, 'close'),
      text(child.stdout as Readable),
      text(child.stderr as Readable),
    ]).then(([[code], out, err]): Finished => {
      this.#running.delete(child)
      return { code: code as number, out, err }
    })
    return { child, finished }
  }

  /** A token as the command token would sign it. */
  async token(address: number, app = APP): Promise<string> {
    return await signToken(this.key, {
      app,
      addr: `127.64.0.${address}`,
      gen: 0,
      role: 'tool',
      exp: expiryIn(60_000),
    })
  }

  /** An endpoint of ours in this process, ended by close(). `address`: whole. */
  async tunnel(app: string, address: string, options: Partial<TunnelOptions> = {}, gen = 0): Promise<Tunnel> {
    const claims = { app, addr: address, gen, role: 'driver' } as const
    const started = await startTunnel({
      app,
      address,
      token: () => signToken(this.key, { ...claims, exp: expiryIn(60_000) }),
      relays: [this.relayUrl],
      dials: [],
      serves: [],
      logger: pino({ level: 'silent' }),
      ...options,
    })
    this.#tunnels.push(started)
    return started
  }

  async close(): Promise<void> {
    await Promise.all(this.#tunnels.splice(0).map((tunnel) => tunnel.close()))
    const ends = [...this.#running].map(async (child) => {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await closed
      clearTimeout(timer)
    })
    await Promise.all(ends)
    await this.killRelay()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** Ports that were free a moment ago, each of them only once in this process. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '0.0.0.0'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Tries until `attempt` does not throw, each 100 ms, for at most 15 s. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 15_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
