/**
 * Runs one row, in this process or in a user and network namespace of its own. Used by the tests
 * in this folder, by scripts/faults.ts, and by itself: `run-row.ts NAME CONTEXT` prints the result.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { RowContext, RowResult } from './row.ts'
import { rows } from './rows/index.ts'

export type RunContext = Omit<RowContext, 'say'>

/** Runs the row in a process of its own; `say` hears what it checks as it goes. */
export async function runRow(
  name: string,
  context: RunContext,
  say: (line: string) => void = () => {},
): Promise<RowResult> {
  const row = rows.find((one) => one.name === name)
  if (row === undefined)
    throw new Error(`no row is called ${name}; there are ${rows.map((one) => one.name).join(', ')}`)
  const under = row.inNamespace ? ['unshare', '--user', '--map-root-user', '--net', '--mount', '--'] : []
  const [program = '', ...args] = [
    ...under,
    process.execPath,
    fileURLToPath(import.meta.url),
    name,
    JSON.stringify(context),
  ]
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stderr.setEncoding('utf8')
  let lines = ''
  child.stderr.on('data', (part: string) => {
    lines += part
    for (const line of part.trimEnd().split('\n')) say(line)
  })
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`row ${name} failed:\n${lines.slice(-4_000)}`)
  return JSON.parse(out) as RowResult
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name = '', context = '{}'] = process.argv
  const row = rows.find((one) => one.name === name)
  if (row === undefined) throw new Error(`no row is called ${name}`)
  // Whoever started us is gone: what we started must not stay.
  process.stdin.resume().once('end', () => process.exit(1))
  const result = await row.run({
    ...(JSON.parse(context) as RunContext),
    say: (line) => process.stderr.write(`${line}\n`),
  })
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
}
