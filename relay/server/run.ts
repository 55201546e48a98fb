/**
 * The command `relay`: puts the node, its directory, its listeners and its HTTP side together
 * and lives until it is told to go. Called by the command line only.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import type http from 'node:http'
import { setPriority } from 'node:os'
import { createSecureContext } from 'node:tls'
import type { Logger } from 'pino'
import type { CommandContext } from '../../cli/context.ts'
import type { RelayOptions } from '../../cli/options/index.ts'
import { RedisDirectory } from '../directory/redis.ts'
import { systemClock } from '../time/clock.ts'
import { KeyRing, TokenError, type TokenFailure, TokenVerifier } from '../token/index.ts'
import { type CloseReason, RelayError } from '../wire/errors.ts'
import { createDirectory } from './create-directory.ts'
import { Front, type TlsFiles } from './front.ts'
import { createHttpServer } from './http.ts'
import type { RelayLimits } from './limits.ts'
import { ListenError, type Listener, listen } from './listen.ts'
import { RelayMetrics } from './metrics.ts'
import { type Identity, RelayNode } from './node.ts'
import { createRegistry } from './prometheus.ts'
import { receiveOptions, runWorkers, tellReady } from './workers.ts'
import { boundYoungSpace } from './young-space.ts'

/** The relay cannot start as it was asked to. Ends the command with 2. */
export class RelayStartError extends Error {
  override readonly name = 'RelayStartError'
  readonly code: 'tls-files' | 'advertise'
  readonly exitCode = 2

  constructor(code: RelayStartError['code'], sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.code = code
  }
}

/**
 * A relay for bulk streams alone gives way to the one for urgent streams beside it: on two busy cores
 * that took a small request's p99 from 0.61 to 0.44 x HAProxy's (bench `rpc-bulk`, medians of 5 and 4
 * runs), and bulk moved as much. It orders processes of one cgroup (`--workers`, one service), and
 * costs nothing where relays have their machine to themselves.
 */
const BULK_NICENESS = 10

function giveWay(log: Logger): void {
  try {
    setPriority(BULK_NICENESS)
  } catch (error) {
    log.warn({ detail: (error as Error).message }, 'cannot lower the priority of this relay for bulk streams')
  }
}

/** Runs a relay until SIGTERM or SIGINT (drains; a second one ends it at once), or until stdin ends with --lifeline. Answers the exit code. */
export async function runRelay(given: RelayOptions, context: CommandContext): Promise<number> {
  if (given.workers > 1 && !given.worker) return await runWorkers(given, context)
  const options = given.worker ? await receiveOptions() : given
  boundYoungSpace()
  const log = context.logger
  if (options.classes === 'bulk') giveWay(log)
  const ring = await KeyRing.open({ file: options.secretFile, text: process.env.SLR_SECRET }, log)
  const tlsFiles = readTlsFiles(options)
  assertReachable(options)
  const readKeysAgain = (): void => void ring.reload()
  process.on('SIGHUP', readKeysAgain)
  const relay = await startRelay(options, new TokenVerifier(ring), tlsFiles, log)
  log.info({ node: relay.node, listening: relay.listening, metrics: relay.metricsUrl }, 'ready')
  if (options.announce) process.stdout.write(`${JSON.stringify({ listening: relay.listening })}\n`)
  if (given.worker) tellReady({ listening: relay.listening })
  try {
    return await untilTold(relay, options.lifeline, given.worker, log)
  } finally {
    await relay.close()
    process.off('SIGHUP', readKeysAgain)
    if (given.worker && process.connected) process.disconnect()
  }
}

export interface RunningRelay {
  readonly node: string
  /** URLs that were bound, in the order of --listen. */
  readonly listening: readonly string[]
  readonly metricsUrl: string | undefined
  readonly core: RelayNode
  readonly metrics: RelayMetrics
  /** Tells endpoints to go elsewhere, and settles when they have, or after --drain. */
  drain(): Promise<void>
  /** Ends everything now. Idempotent. */
  close(): Promise<void>
}

/** Starts a relay in this process, without signals: what runRelay does, for tests too. Rejects with ListenError. */
export async function startRelay(
  options: RelayOptions,
  verifier: TokenVerifier,
  tlsFiles: TlsFiles | undefined,
  log: Logger,
): Promise<RunningRelay> {
  const clock = systemClock
  const metrics = new RelayMetrics()
  const directory = await createDirectory(options, clock, log)
  const name = randomBytes(8).toString('hex')
  const urls: string[] = [...options.advertise]
  const limits = limitsOf(options)
  const core = new RelayNode({
    node: name,
    urls,
    clock,
    directory,
    verify: (token) => identify(verifier, token),
    limits,
    metrics,
    log,
    classes: options.classes === 'both' ? ['urgent', 'bulk'] : [options.classes],
  })
  metrics.directoryReachable = () => (directory.isReachable ? 1 : 0)
  const registry = createRegistry(metrics)
  const ops = {
    isReady: () => core.isReady,
    scrape: async () => {
      core.sampleGauges()
      if (directory instanceof RedisDirectory) {
        const { commands, cacheHits } = directory.figures
        Object.assign(metrics.directoryCommands, commands, { 'cached-lookup': cacheHits })
      }
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
  }
  const front = new Front({
    node: core,
    http: ops,
    metrics,
    clock,
    limits: {
      handshakeMs: options.handshakeMs,
      maxUnauthenticated: options.maxUnauthenticated,
      maxUnauthenticatedPerRemote: Math.ceil(options.maxUnauthenticated / 2),
    },
    tls: tlsFiles,
  })
  const listeners: Listener[] = []
  let metricsServer: http.Server | undefined
  const close = async (): Promise<void> => {
    for (const listener of listeners.splice(0)) await listener.close()
    front.close()
    metricsServer?.close()
    metricsServer?.closeAllConnections()
    core.close()
    await directory.close()
  }
  try {
    for (const address of options.listen) {
      const listener = await listen(address, {
        front,
        hasTls: tlsFiles !== undefined,
        isPlainAllowed: options.plain,
        servesMetricsLocally: options.metrics === undefined,
      })
      listeners.push(listener)
      if (options.advertise.length === 0) urls.push(listener.url)
    }
    if (options.metrics?.is === 'tcp') metricsServer = await listenForMetrics(options.metrics, ops, metrics)
  } catch (error) {
    await close()
    throw error
  }
  core.announce() // its URLs are known only now
  return {
    node: name,
    listening: listeners.map((listener) => listener.url),
    metricsUrl: metricsServer === undefined ? undefined : urlOf(metricsServer),
    core,
    metrics,
    drain: async () => {
      // The listeners stay: endpoints that come now are told to go elsewhere, health is asked for.
      await core.drain()
    },
    close,
  }
}

/** Relays of a fleet send endpoints to each other's URLs: one of 0.0.0.0 leads whoever dials it to himself. */
function assertReachable({ redis, advertise, listen: addresses }: RelayOptions): void {
  const wild = addresses.find((one) => one.is === 'tcp' && (one.host === '0.0.0.0' || one.host === '::'))
  if (redis === undefined || advertise.length > 0 || wild?.is !== 'tcp') return
  throw new RelayStartError(
    'advertise',
    `--listen ${wild.host}:${wild.port} with --redis needs --advertise: the URL by which endpoints reach exactly this relay, as tls://relay-1.example:${wild.port}`,
  )
}

function readTlsFiles(options: RelayOptions): TlsFiles | undefined {
  if (options.tlsCert === undefined || options.tlsKey === undefined) return undefined
  const files = { cert: readPem('--tls-cert', options.tlsCert), key: readPem('--tls-key', options.tlsKey) }
  if ((statSync(options.tlsKey).mode & 0o007) !== 0)
    throw new RelayStartError(
      'tls-files',
      `--tls-key ${options.tlsKey} can be read by everyone on this machine; run: chmod o= ${options.tlsKey}`,
    )
  try {
    createSecureContext(files)
  } catch (cause) {
    const { message } = cause as Error
    throw new RelayStartError('tls-files', `--tls-cert and --tls-key do not fit together: ${message}`, {
      cause,
    })
  }
  return files
}

function readPem(option: string, file: string): Buffer {
  let text: Buffer
  try {
    text = readFileSync(file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new RelayStartError(
      'tls-files',
      `${option} ${file} cannot be read (${code}); name a PEM file of yours`,
      { cause },
    )
  }
  if (!text.includes('-----BEGIN ')) {
    throw new RelayStartError(
      'tls-files',
      `${option} ${file} is not PEM: it must hold a block -----BEGIN …-----`,
    )
  }
  return text
}

function limitsOf(options: RelayOptions): RelayLimits {
  return {
    handshakeMs: options.handshakeMs,
    maxLinks: options.maxLinks,
    maxStreams: options.maxStreams,
    linkQueueBytes: options.linkQueueBytes,
    relayQueueBytes: options.relayQueueBytes,
    controlFramesPerSecond: options.controlFramesPerSecond,
    keepaliveMs: options.keepaliveMs,
    silenceMs: options.silenceMs,
    graceMs: options.graceMs,
    // A lease outlives the grace of the address that it is about.
    leaseMs: options.graceMs + options.silenceMs + 1_000,
    drainMs: options.drainMs,
  }
}

const reasonOfFailure: Readonly<Record<TokenFailure, CloseReason>> = {
  missing: 'unauthorized',
  malformed: 'unauthorized',
  'bad-signature': 'unauthorized',
  'unknown-key': 'unauthorized',
  expired: 'expired',
  'not-yet-valid': 'expired',
  'wrong-application': 'forbidden',
  'wrong-address': 'forbidden',
  'wrong-role': 'forbidden',
}

/** What a token proves. Rejects with RelayError, whose sentence says no more than the peer may know; its cause is for the log. */
async function identify(verifier: TokenVerifier, token: string): Promise<Identity> {
  try {
    const claims = await verifier.verify(token)
    return { app: claims.app, address: claims.addr, generation: claims.gen, role: claims.role }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    // Which keys there are is not for everybody to try out: their names tell whose they are.
    const told = error.code === 'unknown-key' ? 'bad-signature' : error.code
    throw new RelayError(reasonOfFailure[error.code], `the token is refused: ${told}`, { cause: error })
  }
}

const MAX_METRICS_CONNECTIONS = 64

async function listenForMetrics(
  address: { readonly host: string; readonly port: number },
  ops: Pick<Parameters<typeof createHttpServer>[0], 'isReady' | 'scrape'>,
  metrics: RelayMetrics,
): Promise<http.Server> {
  const server = createHttpServer({ ...ops, metrics, maySeeMetrics: () => true })
  // Scrapers and health checks are few; whoever only holds connections takes the links' descriptors.
  server.maxConnections = MAX_METRICS_CONNECTIONS
  server.listen({ host: address.host, port: address.port })
  try {
    await once(server, 'listening')
  } catch (cause) {
    const { message } = cause as Error
    throw new ListenError('in-use', `--metrics ${address.host}:${address.port} cannot be bound: ${message}`, {
      cause,
    })
  }
  return server
}

function urlOf(server: http.Server): string {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the metrics server has no port')
  return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`
}

/** Settles with the exit code when it is time to go. */
async function untilTold(
  relay: RunningRelay,
  hasLifeline: boolean,
  isWorker: boolean,
  log: Logger,
): Promise<number> {
  const signals = ['SIGTERM', 'SIGINT'] as const
  let tell: (what: 'drain' | 'lifeline') => void = () => {}
  const told = new Promise<'drain' | 'lifeline'>((resolve) => {
    tell = resolve
  })
  let hurry: () => void = () => {}
  const hurried = new Promise<'hurried'>((resolve) => {
    hurry = () => resolve('hurried')
  })
  let isTold = false
  const handleSignal = (signal: NodeJS.Signals): void => {
    log.info({ signal }, isTold ? 'told again: ends now' : 'told to go: drains')
    if (isTold) hurry()
    isTold = true
    tell('drain')
  }
  for (const signal of signals) process.on(signal, handleSignal)
  const handleOrphaned = (): void => {
    log.warn('the parent of this worker is gone: drains')
    isTold = true
    tell('drain')
  }
  if (isWorker) {
    if (process.connected) process.once('disconnect', handleOrphaned)
    else handleOrphaned()
  }
  if (hasLifeline) {
    const handleEnd = (): void => tell('lifeline')
    process.stdin.once('end', handleEnd).once('error', handleEnd).once('close', handleEnd).resume()
  }
  try {
    if ((await told) === 'lifeline') {
      log.info('stdin ended: whoever started this relay is gone')
      return 0
    }
    const how = await Promise.race([relay.drain().then(() => 'drained' as const), hurried])
    log.info({ how }, 'ends')
    return how === 'drained' ? 0 : 1
  } finally {
    for (const signal of signals) process.off(signal, handleSignal)
    process.off('disconnect', handleOrphaned)
    if (hasLifeline) process.stdin.destroy()
  }
}
