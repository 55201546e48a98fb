/** Two jobs at once with their UIs on, and ten `exec`s, all over one relay. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { selfCommand } from '../../cli/self.ts'
import { freePorts } from '../helper/exec-world.ts'
import { type Submitted, startSubmit } from './harness.ts'
import { type OwnRelay, ownRelay } from './own-relay.ts'
import { until } from './processes.ts'
import { rightSums, sumsFound, sumsProgram } from './sums.ts'

const EXECS = 10
const SERVER = '127.64.0.1'

let relay: OwnRelay | undefined
const submitted: Submitted[] = []
const execs: ChildProcess[] = []
afterEach(async () => {
  await Promise.all(submitted.splice(0).map((job) => job.remove()))
  await Promise.all(
    execs.splice(0).map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    }),
  )
  await relay?.remove()
  relay = undefined
})

/** An endpoint of the application `ten` in a namespace of its own, with a Node program behind it. Settles with its output when it ends. */
function exec(
  { url, secretFile }: OwnRelay,
  index: number,
  ports: readonly string[],
  script: string,
): { child: ChildProcess; out: Promise<string> } {
  const [program = '', ...args] = selfCommand([
    ...['exec', '--relay', url, '--secret-file', secretFile, '--app', 'ten'],
    ...['--address', `127.64.0.${index}`, ...ports, '--isolate', '--log-level', 'error', '--'],
    ...[process.execPath, '--input-type=module', '--eval', script],
  ])
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  execs.push(child)
  return { child, out: text(child.stdout) }
}

/** Answers each question with its number doubled, and who it thinks is asking. */
const server = (target: number) => `
import { createServer } from 'node:http'
createServer((request, response) => {
  const number = Number(new URL(request.url, 'http://x').searchParams.get('n'))
  response.end(JSON.stringify({ doubled: 2 * number }))
}).listen(${target}, '::1')`

/** Asks until told the right thing 200 times in a row of different questions. */
const client = (port: number, index: number) => `
let right = 0
const deadline = Date.now() + 120000
while (right < 200 && Date.now() < deadline) {
  const n = ${index} * 1000 + right
  try {
    const answer = await fetch('http://${SERVER}:${port}/?n=' + n).then((response) => response.json())
    if (answer.doubled !== 2 * n) throw new RangeError('wrong answer')
    right += 1
  } catch (error) {
    if (error instanceof RangeError || right > 0) throw error
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
console.log(right)`

const runningApplication = z.array(z.object({ id: z.string() }))
const executorRows = z.array(
  z.object({
    id: z.string(),
    hostPort: z.string(),
    isActive: z.boolean(),
    executorLogs: z.record(z.string(), z.string()),
  }),
)

describe('two submits at once, of two Spark versions, and ten execs beside them', () => {
  it('each has its own world, its own UI, and the right answer', async () => {
    const over = ownRelay()
    relay = over
    await over.start()
    const jobs = await Promise.all(
      (['3.5.7', '4.3.0'] as const).map((version) =>
        startSubmit({
          version,
          options: ['--relay', over.url, '--secret-file', over.secretFile],
          program: [...sumsProgram, '{folder}'],
        }),
      ),
    )
    submitted.push(...jobs)

    const [port = 0, target = 0] = await freePorts(2)
    exec(over, 1, ['--serve', `${port}=[::1]:${target}`], server(target))
    const clients = Array.from({ length: EXECS - 1 }, (_, index) =>
      exec(over, index + 2, ['--dial', String(port)], client(port, index)),
    )

    await Promise.all(jobs.map((job) => job.saw('summed', 300_000)))
    const found = jobs.map((job) => sumsFound.parse(job.result()))
    expect(new Set(found.map(({ ui }) => ui)).size).toBe(2)
    for (const { app, ui } of found) {
      const page = await fetch(`${ui}/executors/`)
      expect(page.status).toBe(200)
      expect(page.headers.get('content-type')).toMatch(/^text\/html/)
      const listed = runningApplication.parse(await (await fetch(`${ui}/api/v1/applications`)).json())
      expect(listed.map(({ id }) => id)).toEqual([app])
      const rows = executorRows.parse(
        await (await fetch(`${ui}/api/v1/applications/${app}/executors`)).json(),
      )
      expect(rows.map(({ id }) => id).sort()).toEqual(['1', '2', 'driver'])
      // Both jobs have the same addresses: they are in different applications.
      expect(rows.map(({ hostPort }) => hostPort.split(':')[0]).sort()).toEqual([
        '127.64.0.1',
        '127.64.0.2',
        '127.64.0.3',
      ])
      for (const { id, hostPort, executorLogs } of rows.filter((row) => row.id !== 'driver')) {
        const links = Object.values(executorLogs)
        expect(links.length).toBeGreaterThan(0)
        for (const link of links) {
          const log = await (await fetch(link)).text()
          expect(log, link).toMatch(
            new RegExp(`Starting executor.* ID ${id} on host ${hostPort.split(':')[0]}`),
          )
        }
      }
    }

    for (const { child, out } of clients) {
      expect(await out).toBe('200\n')
      await until('exec has ended', () => child.exitCode !== null, 15_000)
      expect(child.exitCode).toBe(0)
    }
    for (const job of jobs) {
      writeFileSync(join(job.folder, 'go-on'), '')
      expect(await job.ended, job.output.slice(-3_000)).toBe(0)
      expect(job.result()).toMatchObject(rightSums)
      expect(job.events().failedTasks).toEqual([])
    }
  })
})
