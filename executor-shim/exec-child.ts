/**
 * A program that runs as if it had been started directly: our stdin, stdout and stderr, our
 * signals, its exit code. Used by exec.ts and exec-isolate.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { constants as systemConstants } from 'node:os'
import { delimiter, join } from 'node:path'
import { ExecError } from './exec-errors.ts'

/** Passed on as they come. */
const passedOn = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const
/** A terminal sends these to every process of the foreground group, so the program has them already. */
const fromTerminal = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT', 'SIGHUP'])
/** Between SIGTERM and SIGKILL for a program that must end, ms. */
const TERM_MS = 5_000
/** After SIGKILL, ms: a program of another user is not ours to kill, and nobody waits for it. */
const KILL_MS = 2_000

export interface Child {
  /** Its exit code, or 128 and the signal's number. Never rejects. */
  readonly exitCode: Promise<number>
  /** Ends it: SIGTERM, SIGKILL 5 s later. Settles when it is gone, or 2 s after that when it may not be killed. */
  end(): Promise<void>
  /** Stops passing signals on. */
  release(): void
}

/** Starts `command`. The kernel kills it when we are killed (Linux with setpriv). Throws ExecError. */
export function startChild(command: readonly string[], environment: NodeJS.ProcessEnv): Child {
  const [program = '', ...args] = command
  const path = assertProgram(program, environment.PATH ?? '')
  const setpriv = process.platform === 'linux' ? findProgram('setpriv', environment.PATH ?? '') : undefined
  // setpriv runs it by the path that was found, which is also its argv[0] without setpriv.
  const [first, rest] =
    setpriv === undefined ? [path, args] : [setpriv, ['--pdeathsig', 'KILL', '--', path, ...args]]
  // Listened for before it runs: whoever sees its first output may signal us at once.
  const release = passSignals((signal) => child.kill(signal))
  const child = spawn(first, rest, { stdio: 'inherit', env: environment })
  const exitCode = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? exitCodeOfSignal(signal)))
    // It was executable a moment ago. With a pid it is no failed start but a signal that we may not send (sudo).
    child.on('error', () => child.pid === undefined && resolve(126))
  })
  return { exitCode, release, end: () => endChild(child, exitCode) }
}

/** As shells say it: 128 and the signal's number. Pure. */
export function exitCodeOfSignal(signal: NodeJS.Signals | null): number {
  return signal === null ? 1 : 128 + (systemConstants.signals[signal] ?? 0)
}

/** Signals reach `pass` from the event loop only, so never before the code that calls this has gone on. */
function passSignals(pass: (signal: NodeJS.Signals) => void): () => void {
  const handle = (signal: NodeJS.Signals): void => {
    if (fromTerminal.has(signal) && isInForeground()) return
    pass(signal)
  }
  for (const signal of passedOn) process.on(signal, handle)
  return () => {
    for (const signal of passedOn) process.off(signal, handle)
  }
}

async function endChild(child: ChildProcess, exitCode: Promise<number>): Promise<void> {
  for (const [signal, ms] of [
    ['SIGTERM', TERM_MS],
    ['SIGKILL', KILL_MS],
  ] as const) {
    child.kill(signal)
    const patience = Promise.withResolvers<undefined>()
    const timer = setTimeout(patience.resolve, ms, undefined)
    const code = await Promise.race([exitCode, patience.promise])
    clearTimeout(timer)
    if (code !== undefined) return
  }
}

/** Whether our process group is the one that the terminal's keys signal. */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    // After the name, which is in brackets and may hold anything: state ppid pgrp session tty tpgid.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return foreground !== '-1' && foreground === group
  } catch {
    return process.stdin.isTTY === true
  }
}

/** Full path of the program. Throws ExecError `not-found` or `not-executable`. */
function assertProgram(program: string, path: string): string {
  if (!program.includes('/')) {
    const found = findProgram(program, path)
    if (found === undefined) throw new ExecError('not-found', `${program}: no such program on PATH`)
    return found
  }
  try {
    if (statSync(program).isDirectory()) throw new ExecError('not-executable', `${program} is a folder`)
    accessSync(program, constants.X_OK)
  } catch (error) {
    if (error instanceof ExecError) throw error
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new ExecError('not-executable', `${program} may not be executed; run: chmod +x ${program}`)
    }
    throw new ExecError('not-found', `${program}: no such program`)
  }
  return program
}

/** Full path of `name` on `path`, or undefined. */
export function findProgram(name: string, path: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder === '' ? '.' : folder, name)
    try {
      accessSync(candidate, constants.X_OK)
      if (statSync(candidate).isFile()) return candidate
    } catch {
      // Not here.
    }
  }
  return undefined
}
