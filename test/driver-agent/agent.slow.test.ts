/** The command `agent` at the edges of its life: while it starts, and when nobody listens any more. No Spark runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { descendants } from '../spark/processes.ts'

mkdirSync('.cache', { recursive: true })
const folder = mkdtempSync(resolve('.cache/agent-'))
afterAll(() => rmSync(folder, { recursive: true }))
mkdirSync(join(folder, 'spark/jars'), { recursive: true })
writeFileSync(join(folder, 'spark/jars/spark-core_2.13-4.3.0.jar'), '')
mkdirSync(join(folder, 'spark/bin'))
writeFileSync(join(folder, 'spark/bin/spark-submit'), '')

const runs = join(folder, 'run')
beforeEach(() => {
  rmSync(runs, { recursive: true, force: true })
  mkdirSync(runs)
})

const { SPARK_CONF_DIR: _confDir, SLR_SECRET: _secret, ...inherited } = process.env

function agent(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [resolve('cli/main.ts'), 'agent', '--log-level', 'warn', ...args], {
    cwd: folder,
    env: { ...inherited, SPARK_HOME: join(folder, 'spark'), XDG_RUNTIME_DIR: runs, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Settles when the agent says that it is ready, with what it has said. */
async function ready({ stderr }: ChildProcess): Promise<string> {
  let said = ''
  for await (const bytes of stderr ?? []) {
    said += String(bytes)
    if (said.includes('ready; in a shell')) return said
  }
  throw new Error(`it did not become ready:\n${said}`)
}

const sockets = (): string[] =>
  readdirSync(runs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('live.sock'))

it('ends in order when whoever read its messages is gone', async () => {
  const summary = join(folder, 'summary.json')
  const child = agent(['--max-wall', '3s', '--summary-json', summary])
  const exit = once(child, 'exit')
  await ready(child) // and the pipe is closed by that
  expect(await exit).toEqual([1, null])
  expect(JSON.parse(readFileSync(summary, 'utf8'))).toMatchObject({ endedBy: 'agent', exitCode: 1 })
  expect(sockets()).toEqual([])
})

it('takes a SPARK_HOME that is no whole path, and a SPARK_CONF_DIR that is not there', async () => {
  const child = agent([], { SPARK_HOME: './spark', SPARK_CONF_DIR: '/nowhere/conf' })
  const exit = once(child, 'exit')
  const script = /source (\S+)/.exec(await ready(child))?.[1] as string
  expect(readFileSync(script, 'utf8')).toContain(`export SPARK_HOME='${join(folder, 'spark')}'\n`)
  child.kill('SIGTERM')
  expect(await exit).toEqual([0, null])
})

it('starts where the Python does not fit its Spark, and says so', async () => {
  const old = join(folder, 'python-3.6')
  writeFileSync(old, '#!/bin/sh\necho "python 3.6.9"\n', { mode: 0o755 })
  const child = agent([], { PYSPARK_PYTHON: old })
  const exit = once(child, 'exit')
  expect(await ready(child)).toContain(
    `spark-lambda-relay: Python functions on Spark 4.3.0 need Python 3.11 or later, but PYSPARK_PYTHON=${old} is Python 3.6.9; set PYSPARK_PYTHON to `,
  )
  child.kill('SIGTERM')
  expect(await exit).toEqual([0, null])
})

it('does not go on in the background when it is interrupted while it starts', async () => {
  const child = agent(['--print-env'])
  const [said, printed] = [
    text(child.stderr as NodeJS.ReadableStream),
    text(child.stdout as NodeJS.ReadableStream),
  ]
  await expect.poll(() => descendants(child.pid as number).length, { timeout: 10_000 }).toBeGreaterThan(0)
  child.kill('SIGINT')
  // The end of the pipe is the end of all that have it.
  expect(await said).toBe('')
  expect(await printed).toBe('')
  await expect.poll(sockets, { timeout: 10_000 }).toEqual([])
})

it('ends when it is told to stop while it starts, and --stop says what it did', async () => {
  const child = agent([])
  const exit = once(child, 'exit')
  await expect.poll(() => sockets().length, { timeout: 20_000 }).toBe(1)
  const stop = agent(['--stop'])
  expect(await text(stop.stderr as NodeJS.ReadableStream)).toBe('spark-lambda-relay: 1 agent has ended\n')
  expect(await exit).toEqual([0, null])
  const again = agent(['--stop'])
  expect(await text(again.stderr as NodeJS.ReadableStream)).toMatch(
    /no agent of yours runs here \(looked in .*run/,
  )
  expect(existsSync(runs)).toBe(true)
})

it('does not start, and writes and removes nothing, where somebody else made the folder of its logs', async () => {
  const [shared, elsewhere] = [join(folder, 'shared'), join(folder, 'elsewhere')]
  for (const path of [shared, elsewhere]) mkdirSync(path)
  symlinkSync(elsewhere, join(shared, `spark-lambda-relay-${process.getuid?.()}`))
  const { mtimeNs: before } = statSync(elsewhere, { bigint: true })
  const child = agent([], { TMPDIR: shared })
  const [said, [code]] = await Promise.all([text(child.stderr as NodeJS.ReadableStream), once(child, 'exit')])
  expect(said).toMatch(/^spark-lambda-relay: \S+ is another user's folder, a link or a file; .*set TMPDIR/)
  expect(code).toBe(1)
  expect(statSync(elsewhere, { bigint: true }).mtimeNs).toBe(before)
})
