/**
 * The command `agent`: everything but spark-submit. Drivers that the user starts himself
 * (pyspark, spark-shell, a notebook's kernel, a Connect server) find it through environment
 * variables; several may come one after the other. Called by cli/main.ts.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, readdirSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import type { CommandContext, Run } from '../cli/context.ts'
import type { AgentOptions } from '../cli/options/index.ts'
import { AgentError } from './errors.ts'
import { ancestors, formatOwners, ownerGone, parseOwners } from './owner.ts'
import { prepare } from './prepare.ts'
import { liveRunDirs, runDirBase, sendErrand } from './run-dir.ts'
import { type Session, startSession } from './session.ts'
import { type Ending, summaryLines } from './summary.ts'
import { writeLine } from './write-line.ts'
import { writeSummary } from './write-summary.ts'

/** Exit code of a start that was interrupted, as of SIGINT. */
const INTERRUPTED = 130

/** What the process in the background sends to the one that prints. */
interface Ready {
  readonly exports: string
}

export const runAgent: Run<AgentOptions> = async (options, context) => {
  if (options.stop) return await stopAgents()
  if (options.printEnv) return await startInBackground(context)
  // Whoever is to print our exports was interrupted: nobody would find us. The guardian removes what is there.
  const abandoned = (): never => process.exit(INTERRUPTED)
  if (process.send !== undefined) process.once('disconnect', abandoned)
  const stop = Promise.withResolvers<void>()
  const session = await startSession({
    ...(await prepare(options, context)),
    options,
    sparkArguments: [],
    context,
    writeLine,
    onErrand: () => stop.resolve(),
  })
  let over: Promise<Ending>
  try {
    const exports = exportLines(agentEnvironment(session))
    const script = join(session.dir, 'env.sh')
    await writeFile(script, exports, { mode: 0o600 })
    process.off('disconnect', abandoned)
    over = waitForEnd(session, options, stop.promise) // before anybody hears that we are ready, and may signal us
    if (process.send === undefined) writeLine(`ready; in a shell: source ${script}`)
    else process.send({ exports } satisfies Ready, () => process.connected && process.disconnect())
  } catch (error) {
    await session.close({ endedBy: 'agent', exitCode: 1 })
    throw error
  }
  const ending = await over
  if (ending.reason !== undefined) writeLine(ending.reason)
  const summary = await session.close(ending)
  const { reason: _told, ...untold } = summary
  if (summary.functionsStarted > 0) for (const line of summaryLines(untold)) writeLine(line)
  await writeSummary(summary, options.summaryJson)
  return ending.exitCode
}

/** Until we cannot go on, or are told to end, or the shell that asked for us is gone. */
function waitForEnd(session: Session, options: AgentOptions, stop: Promise<void>): Promise<Ending> {
  const done: Ending = { endedBy: 'agent', exitCode: 0 }
  const over: Promise<Ending>[] = [
    session.failed.then((error) => ({ endedBy: 'agent', exitCode: error.exitCode, reason: error.message })),
    stop.then(() => done),
    new Promise((resolve) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        // The second one does not wait: guardian and kernel end what is left.
        process.once(name, () => {
          resolve(done)
          process.once(name, () => process.exit(1))
        })
      }
    }),
  ]
  if (options.owner !== undefined) over.push(ownerGone(parseOwners(options.owner)).then(() => done))
  if (options.maxWallMs !== undefined) {
    const { maxWallMs } = options
    over.push(
      new Promise((resolve) => {
        const reason = `the agent ran longer than --max-wall ${maxWallMs / 1000}s and ended`
        setTimeout(() => resolve({ endedBy: 'agent', exitCode: 1, reason }), maxWallMs)
      }),
    )
  }
  // Everything above may be unreferenced or idle; the agent is to stay nevertheless.
  const staying = setInterval(() => {}, 60_000)
  return Promise.race(over).finally(() => clearInterval(staying))
}

/** Starts this command again without a terminal, prints what it says when ready, and lets it go. */
function startInBackground(context: CommandContext): Promise<number> {
  const given = process.argv.slice(process.argv.indexOf('agent') + 1).filter((word) => word !== '--print-env')
  const owner = formatOwners(ancestors())
  const [program, ...args] = context.selfCommand([
    'agent',
    ...given,
    ...(owner === '' ? [] : ['--owner', owner]),
  ])
  const { SLR_PRINT_ENV: _asked, ...environment } = process.env
  // Its own session: Ctrl-C in the shell is meant for what runs there, not for the agent.
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: environment,
  })
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(AgentError.from(error)))
    child.once('message', (ready) => {
      process.stdout.write((ready as Ready).exports)
      child.removeAllListeners()
      child.unref()
      resolve(0)
    })
    child.once('exit', (code) => {
      // So that `eval "$(…)" && pyspark` does not start pyspark; the reason is on stderr.
      process.stdout.write('false\n')
      resolve(code === null || code === 0 ? 1 : code)
    })
  })
}

async function stopAgents(): Promise<number> {
  const dirs = await liveRunDirs()
  // A submit keeps its folder in the same place; it ends with its job, not by this.
  const taken = await Promise.all(dirs.map((dir) => sendErrand(dir, 'stop').catch(() => false)))
  const ended = taken.filter((isTaken) => isTaken).length
  if (ended > 0) writeLine(`${ended} ${ended === 1 ? 'agent has' : 'agents have'} ended`)
  else writeLine(`no agent of yours runs here (looked in ${runDirBase()}, which XDG_RUNTIME_DIR decides)`)
  return 0
}

/** Name → value; undefined: unset. */
function agentEnvironment(session: Session): Record<string, string | undefined> {
  const confDir = join(session.dir, 'conf')
  copyConf(session.settings.confDir, confDir)
  const { sparkHome } = session
  const python = pythonFolders(sparkHome)
  return {
    ...session.settings.env,
    SPARK_HOME: sparkHome,
    SPARK_CONF_DIR: confDir,
    PATH: [join(sparkHome, 'bin'), process.env.PATH].filter(Boolean).join(delimiter),
    PYTHONPATH: [...python, process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  }
}

/** The user's other files of SPARK_CONF_DIR (log4j2.properties, *-site.xml) belong to the driver too. */
function copyConf(from: string | undefined, to: string): void {
  if (from === undefined) return
  for (const name of listed(from)) {
    if (name === 'spark-defaults.conf' || name.endsWith('.template')) continue
    if (!statSync(join(from, name), { throwIfNoEntry: false })?.isFile()) continue
    try {
      copyFileSync(join(from, name), join(to, name))
    } catch (error) {
      writeLine(`${join(from, name)} is left out: ${(error as Error).message}`)
    }
  }
}

/** For kernels that import pyspark themselves: the one of this Spark, as its version must be the same. */
function pythonFolders(sparkHome: string): string[] {
  const python = join(sparkHome, 'python')
  const lib = join(python, 'lib')
  const zips = listed(lib).filter((name) => name.endsWith('.zip') && name.startsWith('py4j-'))
  // A Spark out of a wheel is itself the package `pyspark`.
  const isWheel = listed(sparkHome).includes('java_gateway.py')
  return [isWheel ? dirname(sparkHome) : python, ...zips.map((name) => join(lib, name))]
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function exportLines(environment: Record<string, string | undefined>): string {
  return Object.entries(environment)
    .map(([name, value]) =>
      value === undefined ? `unset ${name}\n` : `export ${name}='${value.replaceAll("'", "'\\''")}'\n`,
    )
    .join('')
}
