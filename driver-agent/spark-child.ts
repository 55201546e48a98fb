/**
 * Spark's driver as a child of ours: bin/spark-submit with our terminal, dying with us, and
 * nothing of it left when it is over. Used by submit.ts.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { AgentError } from './errors.ts'
import { DRIVER_MARK, markedProcesses } from './guardian.ts'
import { diesWithUs } from './spawn.ts'

export interface SparkChildOptions {
  readonly sparkHome: string
  readonly args: readonly string[]
  readonly environment: NodeJS.ProcessEnv
  /** Name of the run, for the mark. */
  readonly run: string
}

export interface SparkChild {
  readonly pid: number | undefined
  /** Exit code, or 128 + the signal's number, as a shell says it. Rejects (AgentError) when it could not be started. */
  readonly ended: Promise<number>
  /** Passes a signal on. */
  signal(name: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL after `graceMs`; settles when it and all it started are gone. */
  end(graceMs: number): Promise<void>
}

export function startSpark(options: SparkChildOptions): SparkChild {
  const program = join(options.sparkHome, 'bin', 'spark-submit')
  const [command, ...args] = diesWithUs([program, ...options.args])
  // The same process group: a job in a group of its own could not read from the terminal.
  const child = spawn(command as string, args, {
    stdio: 'inherit',
    env: { ...options.environment, [DRIVER_MARK]: options.run },
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => {
      reject(new AgentError('setup', `${program} could not be started: ${error.message}`, { cause: error }))
    })
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
  // Whoever waits sees the rejection; nobody has to.
  ended.catch(() => {})
  const isOver = (): boolean =>
    child.exitCode !== null || child.signalCode !== null || child.pid === undefined
  return {
    pid: child.pid,
    ended,
    signal(name) {
      if (!isOver()) child.kill(name)
    },
    async end(graceMs) {
      if (!isOver()) {
        child.kill('SIGTERM')
        const hard = setTimeout(() => child.kill('SIGKILL'), graceMs)
        await ended.catch(() => {})
        clearTimeout(hard)
      }
      await endLeftOvers(options.run)
    },
  }
}

/** What the driver left behind (Python of a JVM that was killed): asked, then killed after 1 s. */
async function endLeftOvers(run: string): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const left = markedProcesses(DRIVER_MARK, run)
    if (left.length === 0) return
    for (const pid of left) {
      try {
        process.kill(pid, signal)
      } catch {
        // Gone meanwhile.
      }
    }
    const deadline = performance.now() + 1_000
    while (performance.now() < deadline && markedProcesses(DRIVER_MARK, run).length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
