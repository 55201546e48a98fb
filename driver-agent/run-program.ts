/** Asks a program something and reads its answer. Used by the searches for Java, Python and Spark. */
import { spawn } from 'node:child_process'

export interface Answer {
  /** Exit code; null: it could not be started, was ended by a signal, or took too long. */
  readonly code: number | null
  /** stdout and stderr as they came, the last 64 KiB. */
  readonly text: string
}

const keptCharacters = 64 * 1024

export interface AskOptions {
  readonly environment: NodeJS.ProcessEnv
  /** After this long it is killed, ms. Default 20,000. */
  readonly limitMs?: number
  /** Its output also goes to our stderr, where it can draw progress. */
  readonly isShown?: boolean
}

/** Never rejects. */
export function askProgram(program: string, args: readonly string[], options: AskOptions): Promise<Answer> {
  return new Promise((resolve) => {
    let text = ''
    const child = spawn(program, args, {
      env: options.environment,
      stdio: ['ignore', options.isShown ? 2 : 'pipe', options.isShown ? 2 : 'pipe'],
      timeout: options.limitMs ?? 20_000,
      killSignal: 'SIGKILL',
    })
    const keep = (chunk: Buffer): void => {
      text = (text + chunk.toString('utf8')).slice(-keptCharacters)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    child.once('error', (error) => resolve({ code: null, text: error.message }))
    child.once('close', (code) => resolve({ code, text }))
  })
}
