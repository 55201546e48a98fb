/** What a process of ours says first: that it is ready, and with what. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { DiedError, type Testbed } from './testbed.ts'

const LIMIT_MS = 30_000

/** The first line that a child writes; those that follow go to `later`. Rejects with DiedError when there is none. */
export function announced(
  bed: Testbed,
  child: ChildProcess,
  later: (line: string) => void = () => {},
): Promise<string> {
  const { stdout } = child
  if (stdout === null) throw new Error('the child has no stdout')
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new DiedError(`a process of ours ${why}${bed.lastWords()}`))
    }
    const handleExit = (code: number | null, signal: string | null): void =>
      fail(`ended with ${signal ?? code}`)
    const timer = setTimeout(() => fail(`said nothing for ${LIMIT_MS / 1_000} s`), LIMIT_MS)
    child.once('exit', handleExit)
    const lines = createInterface({ input: stdout })
    lines.once('line', (line) => {
      clearTimeout(timer)
      child.off('exit', handleExit)
      lines.on('line', later)
      resolve(line)
    })
  })
}
