/**
 * The shim's side of the network: the tunnel of one executor, and the control stream to the
 * driver's agent. Made by shim.ts.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { MessageChannel, Tunnel, TunnelOptions } from '../relay/loopback/tunnel-types.ts'
import { type AgentMessage, agentMessage, type ShimMessage } from './control.ts'
import type { FunctionPayload } from './payload.ts'
import { TrafficReport } from './traffic-report.ts'

/** While bytes move. */
const TRAFFIC_MS = 2000

export interface UplinkOptions {
  readonly payload: FunctionPayload
  /** For the file of a private CA. */
  readonly workDir: string
  /** Where the JVM's block port is bound: `::1`, or the virtual address. */
  readonly jvmHost: string
  /** Limits of the endpoints that differ from their defaults. */
  readonly endpoint: Record<string, number>
  readonly onOrder: (order: Exclude<AgentMessage, { is: 'token' }>) => void
  /** The driver's agent or the relay is gone for good. */
  readonly onLost: (cause: 'driver-gone' | 'tunnel-lost') => void
  /** The JVM has reached the driver's RPC port for the first time. */
  readonly onRpc: () => void
  readonly logger: Logger
}

export class Uplink {
  readonly #options: UplinkOptions
  readonly #tunnel: Tunnel
  readonly #control: MessageChannel
  readonly #traffic: TrafficReport

  /** Settles when both classes are attached. Rejects with TunnelError. */
  static async open(options: UplinkOptions): Promise<Uplink> {
    const { payload } = options
    const state = { token: payload.token, rpcOpened: false }
    const { startTunnel } = await import('../relay/loopback/index.ts')
    const tunnel = await startTunnel({
      ...tunnelOptions(options),
      token: () => state.token,
      onStream(peer, port) {
        if (state.rpcOpened || port !== payload.ports.driverRpc || peer !== payload.driverAddress) return
        state.rpcOpened = true
        options.onRpc()
      },
    })
    return new Uplink(options, tunnel, (token) => {
      state.token = token
    })
  }

  constructor(options: UplinkOptions, tunnel: Tunnel, takeToken: (token: string) => void) {
    this.#options = options
    this.#tunnel = tunnel
    void tunnel.ended.then((error) => {
      if (error === undefined) return
      options.logger.error({ err: error }, 'tunnel lost')
      options.onLost('tunnel-lost')
    })
    const control = tunnel.openControl(options.payload.driverAddress)
    this.#control = control
    control.onMessage((message) => this.#handle(message, takeToken))
    control.onEnd((error) => {
      options.logger.debug({ err: error }, 'control stream ended')
      options.onLost('driver-gone')
    })
    this.#traffic = new TrafficReport(tunnel, TRAFFIC_MS, (message) => this.send(message))
  }

  /** Messages sent before the control stream is open are kept. */
  send(message: ShimMessage): void {
    this.#control.send(message)
  }

  /** Sends what is left, then leaves the relay in order: 10 s at most. */
  async close(): Promise<void> {
    await this.#traffic.close()
    this.#control.close()
    await this.#tunnel.close()
  }

  #handle(message: unknown, takeToken: (token: string) => void): void {
    const parsed = agentMessage.safeParse(message)
    if (!parsed.success) {
      this.#options.logger.warn('control message not understood: is the agent newer than this function?')
    } else if (parsed.data.is === 'token') takeToken(parsed.data.token)
    else this.#options.onOrder(parsed.data)
  }
}

function tunnelOptions({
  payload,
  workDir,
  jvmHost,
  endpoint,
  logger,
}: UplinkOptions): Omit<TunnelOptions, 'token' | 'onStream'> {
  const { app, address, relays, detours, ports, tlsCa } = payload
  const tlsCaFile = join(workDir, 'ca.pem')
  if (tlsCa !== undefined) writeFileSync(tlsCaFile, tlsCa, { mode: 0o600 })
  return {
    app,
    address,
    relays,
    ...(detours === undefined ? {} : { detours }),
    ...(tlsCa === undefined ? {} : { tlsCaFile }),
    dials: [
      { port: ports.driverRpc, class: 'urgent' },
      { port: ports.driverBlocks, class: 'bulk' },
      { port: ports.executorBlocks, class: 'bulk' }, // other executors'
    ],
    serves: [{ port: ports.executorBlocks, target: { host: jvmHost, port: ports.executorBlocks } }],
    endpoint,
    logger,
  }
}
