/**
 * Real redis-servers, each a process of its own in a folder of its own, ended by whoever started
 * it: alone, with TLS, watched by Sentinels, or as a Cluster. Nothing is kept on disk.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { diesWithUs } from '../../driver-agent/spawn.ts'
import { makeTempFolder } from './temp-folder.ts'

/** Why these tests cannot run here; undefined: they can. */
export function whyNoRedis(): string | undefined {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'redis-server is not installed (Debian: apt-get install redis-server)'
  }
}

/** A port that was free a moment ago: redis-server cannot be given 0. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export class RedisServer {
  readonly port: number
  readonly #args: readonly string[]
  readonly #cliArgs: readonly string[]
  readonly #temp = makeTempFolder('slr-redis-')
  readonly #dir = this.#temp.path
  #child: ChildProcess | undefined
  #isStopped = false

  private constructor(port: number, args: readonly string[], cliArgs: readonly string[]) {
    this.port = port
    this.#args = args
    this.#cliArgs = cliArgs
  }

  /** `args` come after `--port`; `cliArgs` are what redis-cli needs to get in. */
  static async start(args: readonly string[] = [], cliArgs: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), args, cliArgs)
    await server.start()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it, empty, on the same port as before. */
  async start(): Promise<void> {
    const common = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const isSentinel = this.#args.includes('--sentinel')
    const args = isSentinel
      ? [this.#sentinelFile(), '--sentinel']
      : [...common, '--dir', this.#dir, ...this.#args]
    // Also when the test is killed, and cannot stop it.
    const [program = '', ...rest] = diesWithUs(['redis-server', ...args])
    this.#child = spawn(program, rest, { cwd: this.#dir, stdio: 'ignore' })
    await this.untilAnswers()
  }

  /** The file of a Sentinel must be its own: it writes there what it knows. */
  #sentinelFile(): string {
    const file = join(this.#dir, 'sentinel.conf')
    const lines = this.#args.filter((arg) => arg !== '--sentinel')
    writeFileSync(file, [`port ${this.port}`, 'bind 127.0.0.1', `dir ${this.#dir}`, ...lines].join('\n'))
    return file
  }

  async untilAnswers(): Promise<void> {
    for (let i = 0; i < 200; i++) {
      if (this.tryCli('ping')?.trim() === 'PONG') return
      await sleep(25)
    }
    throw new Error(`the redis-server on port ${this.port} does not answer`)
  }

  cli(...args: string[]): string {
    return execFileSync('redis-cli', ['-p', String(this.port), ...this.#cliArgs, ...args], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  }
  tryCli(...args: string[]): string | undefined {
    try {
      return this.cli(...args)
    } catch {
      return undefined
    }
  }

  /** SIGKILL. `start` brings it back with nothing in it. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
    this.#isStopped = false
  }
  /** SIGSTOP: takes connections and says nothing. */
  hang(): void {
    this.#isStopped = this.#child?.kill('SIGSTOP') ?? false
  }
  goOn(): void {
    if (this.#isStopped) this.#child?.kill('SIGCONT')
    this.#isStopped = false
  }

  async stop(): Promise<void> {
    await this.kill()
    this.#temp.remove()
  }
}

export interface RedisGroup {
  readonly url: string
  readonly servers: readonly RedisServer[]
  stop(): Promise<void>
}

/** A master, a replica and three Sentinels that find a dead master within 1 s. servers[0] is the first master. */
export async function startSentinels(): Promise<RedisGroup> {
  const quick = ['--repl-diskless-sync-delay', '0']
  const master = await RedisServer.start(quick)
  const replica = await RedisServer.start([...quick, '--replicaof', '127.0.0.1', String(master.port)])
  const lines = [
    '--sentinel',
    `sentinel monitor group ${'127.0.0.1'} ${master.port} 2`,
    'sentinel down-after-milliseconds group 1000',
    'sentinel failover-timeout group 5000',
    'sentinel parallel-syncs group 1',
  ]
  const sentinels = await Promise.all([1, 2, 3].map(() => RedisServer.start(lines)))
  const servers = [master, replica, ...sentinels]
  await eventually('the Sentinels know each other and the replica', () =>
    sentinels.every((one) => {
      const seen = one.tryCli('sentinel', 'master', 'group') ?? ''
      return /num-slaves\n1\n/.test(seen) && /num-other-sentinels\n2\n/.test(seen)
    }),
  )
  await eventually('the replica is in step', () => isInStep(replica))
  return {
    url: `redis+sentinel://${sentinels.map((one) => `127.0.0.1:${one.port}`).join(',')}/group`,
    servers,
    stop: async () => void (await Promise.all(servers.map((one) => one.stop()))),
  }
}

function isInStep(replica: RedisServer): boolean {
  return /master_link_status:up/.test(replica.tryCli('info', 'replication') ?? '')
}

/** Three masters with a replica each. */
export async function startCluster(): Promise<RedisGroup> {
  const args = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf']
  const quick = ['--cluster-node-timeout', '2000', '--repl-diskless-sync-delay', '0']
  const servers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => RedisServer.start([...args, ...quick])))
  const nodes = servers.map((one) => `127.0.0.1:${one.port}`)
  execFileSync('redis-cli', ['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'], {
    stdio: 'ignore',
    timeout: 30_000,
  })
  await eventually('the Cluster is whole', () =>
    servers.every((one) => /cluster_state:ok/.test(one.tryCli('cluster', 'info') ?? '')),
  )
  // A replica that never was in step may not take over.
  await eventually('three replicas are in step', () => {
    const replicas = servers.filter((one) => /^role:slave/m.test(one.tryCli('info', 'replication') ?? ''))
    return replicas.length === 3 && replicas.every(isInStep)
  })
  return {
    url: `redis+cluster://${nodes.slice(0, 3).join(',')}`,
    servers,
    stop: async () => void (await Promise.all(servers.map((one) => one.stop()))),
  }
}

/** Options of a redis-server that speaks TLS only and asks for a password; certificates from test/helper/certificates.ts. */
export function tlsArgs(
  port: number,
  files: { caFile: string; certFile: string; keyFile: string },
  password: string,
): string[] {
  chmodSync(files.keyFile, 0o600)
  const tls = [
    '--tls-cert-file',
    files.certFile,
    '--tls-key-file',
    files.keyFile,
    '--tls-ca-cert-file',
    files.caFile,
  ]
  return ['--tls-port', String(port), ...tls, '--tls-auth-clients', 'no', '--requirepass', password]
}

/** Looks every 50 ms until `isSo`; throws naming `what` after `ms`. */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  ms = 15_000,
): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`within ${ms} ms it did not come to this: ${what}`)
    await sleep(50)
  }
}
