/** The executor's JVM as a process: started in a group of its own, signalled, and ended with all that it started. Used by shim.ts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { ShimError } from './errors.ts'
import type { JvmCommand } from './jvm-command.ts'
import { peakResidentBytes } from './resident.ts'

/** How often its memory is looked at. */
const LOOK_MS = 1000

export interface ExecutorEnd {
  readonly code: number | null
  readonly signal: string | null
}

export class ExecutorProcess {
  readonly pid: number
  readonly stdout: Readable
  readonly stderr: Readable
  /** Settles once, when the JVM is gone; what it had started is killed by then. */
  readonly ended: Promise<ExecutorEnd>
  readonly #child: ChildProcess
  #peakBytes = 0

  constructor(child: ChildProcess, pid: number) {
    this.#child = child
    this.pid = pid
    this.stdout = child.stdout as Readable // there is one: stdio says pipe
    this.stderr = child.stderr as Readable
    const looking = setInterval(() => this.peakBytes(), LOOK_MS)
    looking.unref()
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        clearInterval(looking)
        // Python workers of a killed JVM would hold its outputs, and work on.
        killGroup(pid)
        resolve({ code, signal })
      })
    })
  }

  /** Throws ShimError `environment` when there is no such program, or a folder cannot be made. */
  static async start(jvm: JvmCommand): Promise<ExecutorProcess> {
    try {
      for (const folder of jvm.folders) mkdirSync(folder, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw new ShimError('environment', `the work folder cannot be written: ${(error as Error).message}`, {
        cause: error,
      })
    }
    const child = spawn(jvm.command, jvm.args, {
      cwd: jvm.cwd,
      env: { ...jvm.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, so that all of it can be ended
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'ENOENT' ? 'not found' : error.message
        reject(
          new ShimError(
            'environment',
            `${jvm.command}: ${why}; set JAVA_HOME to a Java that this Spark runs on`,
            { cause: error },
          ),
        )
      })
    })
    child.on('error', () => {}) // a signal that came too late
    return new ExecutorProcess(child, child.pid as number)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Most bytes seen resident so far; asks again while it lives, because nothing is left to ask afterwards. */
  peakBytes(): number {
    this.#peakBytes = Math.max(this.#peakBytes, peakResidentBytes(this.pid))
    return this.#peakBytes
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: nothing of it is left.
  }
}
