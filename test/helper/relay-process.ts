/** The command `relay` as a process of its own, as users run it. The test that starts one ends it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { generateKeyLine, parseKeys, type SigningKey } from '../../relay/token/index.ts'

const entry = fileURLToPath(new URL('../../bin/spark-lambda-relay.js', import.meta.url))

export interface RelayProcess {
  readonly child: ChildProcess
  readonly key: SigningKey
  /** All that it wrote so far. */
  readonly output: { stdout: string; stderr: string }
  /** From its --announce line. Rejects when it ends before. */
  readonly listening: Promise<readonly string[]>
  /** Settles when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts `relay --announce` with these arguments, logs as JSON. `environment` is added to a bare one. */
export function spawnRelay(args: readonly string[], environment: Record<string, string> = {}): RelayProcess {
  const line = generateKeyLine('test', '*')
  const child = spawn(process.execPath, [entry, 'relay', '--announce', '--log-format', 'json', ...args], {
    env: { PATH: process.env.PATH, SLR_SECRET: line, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  let announce: (urls: readonly string[]) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const listening = new Promise<readonly string[]>((resolve, reject) => {
    announce = resolve
    fail = reject
  })
  listening.catch(() => {}) // a test of failures looks at the exit code only
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
    const end = output.stdout.indexOf('\n')
    if (end >= 0) announce((JSON.parse(output.stdout.slice(0, end)) as { listening: string[] }).listening)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const ended = once(child, 'close').then(([code, signal]) => {
    fail(new Error(`the relay ended: ${output.stderr}`))
    return { code, signal } as { code: number | null; signal: NodeJS.Signals | null }
  })
  return { child, key: parseKeys(line, 'test')[0] as SigningKey, output, listening, ended }
}
