/** Starts local-function-main.ts and reads what it says. Ends itself and all its processes after the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { FunctionEnd } from '../../driver-agent/provider.ts'
import type { LocalRun } from './local-function-main.ts'

const main = fileURLToPath(new URL('./local-function-main.ts', import.meta.url))

export interface StartedFunction {
  /** The agent in small. */
  readonly agent: ChildProcess
  /** Settles when the command has written its first line. */
  readonly ready: Promise<void>
  readonly end: Promise<FunctionEnd>
  readonly closed: Promise<void>
  /** What the function wrote to descriptor 3, its log. Only until the test ends. */
  log(): string
}

/**
 * `user`: another user id than ours (needs root). `from: 'hook'`: the caller ends it by
 * closing the agent's stdin, since a hook has no test that it could end with.
 */
export function startFunction(run: LocalRun, user?: number, from: 'test' | 'hook' = 'test'): StartedFunction {
  const asUser =
    user === undefined ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--']
  const [program = '', ...args] = [...asUser, process.execPath, main, JSON.stringify(run)]
  const agent = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const said = new Map<string, (value: unknown) => void>()
  const hear = <T>(what: string) =>
    new Promise<T>((resolve) => {
      said.set(what, resolve as (value: unknown) => void)
    })
  const started = {
    agent,
    ready: hear<void>('ready'),
    end: hear<FunctionEnd>('end'),
    closed: hear<void>('closed'),
    log: () => readFileSync(logFile, 'utf8'),
  }
  let logFile = ''
  createInterface({ input: agent.stdout }).on('line', (line) => {
    for (const [what, value] of Object.entries(JSON.parse(line) as Record<string, unknown>)) {
      if (what === 'log') logFile = String(value)
      said.get(what)?.(value)
    }
  })
  if (from === 'hook') return started
  onTestFinished(async () => {
    rmSync(dirname(logFile), { recursive: true, force: true }) // a killed agent leaves it
    const gone = new Promise((resolve) => {
      agent.once('exit', resolve)
    })
    if (agent.exitCode !== null || agent.signalCode !== null) return
    agent.stdin.end()
    const kill = setTimeout(() => agent.kill('SIGKILL'), 2000)
    await gone
    clearTimeout(kill)
  })
  return started
}

/** Ids of all processes of this machine whose environment carries `NAME=value`, zombies excepted. */
export function processesMarked(mark: string): readonly number[] {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(mark)) found.push(Number(name))
    } catch {
      // gone meanwhile
    }
  }
  return found
}

/** Settles when `isTrue`, looked at often; rejects after `limitMs`. */
export async function until(isTrue: () => boolean, limitMs: number, what: string): Promise<void> {
  const since = performance.now()
  while (!isTrue()) {
    if (performance.now() - since > limitMs) throw new Error(`after ${limitMs} ms still not: ${what}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
}
