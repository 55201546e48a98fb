/**
 * What a session is put together from: each part of its own options, out of the command's.
 * Used by session.ts, which knows the order and the ends.
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import type { CommandContext } from '../cli/context.ts'
import type { AgentOptions, SubmitOptions } from '../cli/options/index.ts'
import type { FunctionPayload } from '../executor-shim/payload.ts'
import { endpointOverrides } from '../relay/endpoint/from-options.ts'
import {
  hasIpv6Loopback,
  type ServePort,
  startTunnel,
  type Tunnel,
  type TunnelOptions,
} from '../relay/loopback/index.ts'
import { endpointEnvironment, relayEnvironment } from './environment.ts'
import { PORTS_OF_A_SESSION, pickFreePorts } from './free-ports.ts'
import type { PayloadFrame } from './functions.ts'
import { RUN_MARK } from './guardian.ts'
import { type InnerRelay, startInnerRelay } from './inner-relay.ts'
import { createLocalProvider } from './local/index.ts'
import type { FunctionProvider } from './provider.ts'
import type { Errand } from './run-dir.ts'
import { type AppliedSettings, applySettings, readConfDir } from './settings/index.ts'
import type { Signer } from './signer.ts'

export const DRIVER_ADDRESS = '127.64.0.1'
/** `spark.kubernetes.namespace`. */
export const NAMESPACE = 'spark-lambda-relay'
/** What a function of the local provider may fill: Lambda's most, 10,240 MB. */
const FUNCTION_DISK_BYTES = 10_240 * 1024 * 1024

export interface SessionOptions {
  readonly options: SubmitOptions | AgentOptions
  /** For spark-submit; empty for `agent`. */
  readonly sparkArguments: readonly string[]
  readonly sparkHome: string
  /** As `4.3.0`. */
  readonly sparkVersion: string
  /** For Python programs, when PYSPARK_PYTHON says nothing. */
  readonly python?: string | undefined
  readonly context: CommandContext
  /** A line for the user: executors' warnings, news of the run. */
  readonly writeLine: (line: string) => void
  /** Another process of this user asks for something (`agent --stop`), maybe before the session has started. Absent: refused. */
  readonly onErrand?: ((errand: Errand) => void) | undefined
}

export interface SessionPorts {
  readonly spark: FunctionPayload['ports']
  readonly facade: number
  readonly ui: number
}

/** Free on this machine now; the tunnel holds Spark's from its start on. */
export async function pickSessionPorts(): Promise<SessionPorts> {
  const [driverRpc, driverBlocks, executorBlocks, facade, ui] = (await pickFreePorts(PORTS_OF_A_SESSION)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { spark: { driverRpc, driverBlocks, executorBlocks }, facade, ui }
}

/** Applies the settings table and writes the properties file (0600) into `dir`/conf. Throws SettingsError. */
export async function writeSettings(
  given: SessionOptions,
  dir: string,
  ports: SessionPorts,
  tokenFile: string,
  executorLogUrl: string,
): Promise<AppliedSettings> {
  const propertiesFile = join(dir, 'conf', 'spark-defaults.conf')
  const settings = applySettings({
    args: given.sparkArguments,
    env: process.env,
    sparkHome: given.sparkHome,
    sparkVersion: given.sparkVersion,
    facadeUrl: `http://127.0.0.1:${ports.facade}`,
    tokenFile,
    propertiesFile,
    namespace: NAMESPACE,
    driverAddress: DRIVER_ADDRESS,
    bindAddress: hasIpv6Loopback() ? '[::1]' : DRIVER_ADDRESS,
    ports: ports.spark,
    uiPort: ports.ui,
    maxExecutors: given.options.maxExecutors,
    functionDiskBytes: FUNCTION_DISK_BYTES,
    egress: given.options.egress,
    executorLogUrl,
  })
  await mkdir(dirname(propertiesFile), { mode: 0o700 })
  await writeFile(propertiesFile, settings.properties, { mode: 0o600 })
  return settings
}

/** The relay of a job that was given none. */
export function startRelayInside(
  given: SessionOptions,
  run: string,
  dir: string,
  secretFile: string,
  logger: Logger,
): Promise<InnerRelay> {
  const { relayListen: listen, relayAdvertise, lingerMs } = given.options
  const more = listen?.is === 'unix' ? `unix:${listen.path}` : `${listen?.host}:${listen?.port}`
  return startInnerRelay({
    selfCommand: given.context.selfCommand,
    dir,
    secretFile,
    listen: listen === undefined ? [] : [more],
    advertise: relayAdvertise,
    // Before the endpoints do, so that the reason told is the cause and not its consequence.
    giveUpMs: lingerMs * 0.9,
    environment: relayEnvironment(run, given.options),
    logger,
  })
}

/** The driver's own address on the relay. */
export function startDriverTunnel(
  given: SessionOptions,
  tunnel: Pick<TunnelOptions, 'app' | 'relays' | 'onControl' | 'logger'>,
  signer: Signer,
  ports: FunctionPayload['ports'],
): Promise<Tunnel> {
  const isWildcard = hasIpv6Loopback()
  const serve = (port: number): ServePort =>
    isWildcard ? { port } : { port, target: { host: DRIVER_ADDRESS, port } }
  return startTunnel({
    ...tunnel,
    address: DRIVER_ADDRESS,
    token: () => signer.driver(DRIVER_ADDRESS),
    tlsCaFile: given.options.tlsCa,
    // Listening on the driver's own ports as well keeps another job from picking them.
    dials: isWildcard
      ? [
          { port: ports.driverRpc, class: 'urgent' },
          { port: ports.driverBlocks, class: 'bulk' },
          { port: ports.executorBlocks, class: 'bulk' },
        ]
      : [{ port: ports.executorBlocks, class: 'bulk' }],
    serves: [serve(ports.driverRpc), serve(ports.driverBlocks)],
    endpoint: endpointOverrides(given.options) as Record<string, number>,
  })
}

/** `dir`, the run's private folder, and the user's secret file are out of functions' sight. */
export function createProvider(
  given: SessionOptions,
  run: string,
  dir: string,
  logDir: string,
  logger: Logger,
): FunctionProvider {
  const { options, context, sparkHome } = given
  return createLocalProvider({
    shimCommand: context.selfCommand(['shim']),
    sparkHome,
    logDir,
    egress: options.egress,
    hide: [dir, ...(options.secretFile === undefined ? [] : [options.secretFile])],
    env: { [RUN_MARK]: run, ...endpointEnvironment(options) },
    logger,
  })
}

/** What all functions of the run are started with. `detours`: how they reach relays that they cannot dial. */
export function payloadFrame(
  given: SessionOptions,
  app: string,
  relays: readonly string[],
  detours: Readonly<Record<string, string>>,
  ports: FunctionPayload['ports'],
  confDir: string | undefined,
): PayloadFrame {
  const { maxLifetimeMs, tlsCa } = given.options
  return {
    version: 1,
    app,
    driverAddress: DRIVER_ADDRESS,
    relays: [...relays],
    detours,
    ports,
    confDir: readConfDir(confDir),
    maxLifetimeMs,
    ...(tlsCa === undefined ? {} : { tlsCa: readFileSync(tlsCa, 'utf8') }),
  }
}
