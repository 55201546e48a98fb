/**
 * Runs a program to its end for a script that has to tidy up behind it: signals that would end the
 * script go to the program instead, which ends in order. Used by demo.ts.
 */
import { spawn } from 'node:child_process'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Its output goes where ours goes. Answers its exit code, 1 after a signal. Rejects when it cannot be started. */
export function runChild(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env: environment })
    const passOn = (signal: NodeJS.Signals): void => {
      // A terminal has sent Ctrl-C to the program as well; twice means "at once" to it.
      if (signal === 'SIGINT' && process.stdin.isTTY) return
      child.kill(signal)
    }
    for (const signal of signals) process.on(signal, passOn)
    const over = (): void => {
      for (const signal of signals) process.off(signal, passOn)
    }
    child.once('error', (error) => {
      over()
      reject(error)
    })
    child.once('exit', (code) => {
      over()
      resolve(code ?? 1)
    })
  })
}
