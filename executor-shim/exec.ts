/**
 * The command `exec`: any program as an endpoint of the relay. What it dials on 127.64/10 at
 * a --dial port is tunnelled, what others dial at a --serve port reaches it. Called by the
 * command line only.
 */
import type { CommandContext } from '../cli/context.ts'
import type { ExecOptions } from '../cli/options/index.ts'
import { endpointOverrides } from '../relay/endpoint/from-options.ts'
import { startTunnel, type Tunnel } from '../relay/loopback/index.ts'
import { type Child, startChild } from './exec-child.ts'
import { ExecError } from './exec-errors.ts'
import { commandEnvironment, isInside, runIsolated } from './exec-isolate.ts'
import { tokenSource } from './exec-token.ts'

/** Attaches, runs the command, and answers its exit code (128 and the signal's number). Rejects when the tunnel fails. */
export async function runExec(options: ExecOptions, context: CommandContext): Promise<number> {
  if (options.isolate && !isInside(process.env)) return await runIsolated(options, context)
  const log = context.logger
  const tunnel = await startTunnel({
    app: options.app,
    address: options.address,
    token: await tokenSource(options, process.env.SLR_SECRET, log),
    relays: options.relay,
    ...(options.tlsCa === undefined ? {} : { tlsCaFile: options.tlsCa }),
    dials: options.dial,
    serves: options.serve,
    endpoint: endpointOverrides(options),
    logger: log,
  })
  try {
    return await runInside(tunnel, options)
  } finally {
    await closeOrHurry(tunnel)
  }
}

async function runInside(tunnel: Tunnel, options: ExecOptions): Promise<number> {
  const child: Child = startChild(options.command, commandEnvironment(process.env))
  const lost = tunnel.ended.then((error) => error ?? new Error('the tunnel was closed'))
  const outcome = await Promise.race([child.exitCode, lost])
  if (outcome instanceof Error) await child.end()
  child.release()
  if (typeof outcome === 'number') return outcome
  throw new ExecError(
    'tunnel-lost',
    `the tunnel of ${options.address} is lost and the command was ended: ${outcome.message}`,
    { cause: outcome },
  )
}

/** Lets streams finish (10 s at most); a signal cuts that short. */
async function closeOrHurry(tunnel: Tunnel): Promise<void> {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  const hurried = Promise.withResolvers<void>()
  for (const signal of signals) process.once(signal, hurried.resolve)
  await Promise.race([tunnel.close(), hurried.promise])
  for (const signal of signals) process.off(signal, hurried.resolve)
}
