/**
 * relay/PROTOCOL.md promises that a second implementation can be written from it. One was, in Python
 * (the files beside this one), and what its writer had to guess the page says now. It meets itself
 * and ours here, with links cut on the way: where the page and the code part, these fail.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ExecWorld, freePorts } from '../helper/exec-world.ts'

const APP = 'second'
const MiB = 1024 * 1024
const program = fileURLToPath(new URL('main.py', import.meta.url))

let world: ExecWorld
const children: ChildProcess[] = []
beforeEach(async () => {
  world = await ExecWorld.start(['--grace', '6s'])
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await world.close()
})

function second(address: string, ...deed: readonly string[]): ChildProcess {
  const [name, , secret] = readFileSync(world.secretFile, 'utf8').trim().split(':')
  const child = spawn('python3', [program, world.relayUrl, APP, address, ...deed], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, KEY: `${name}:${secret}`, PYTHONDONTWRITEBYTECODE: '1' },
  })
  children.push(child)
  return child
}

/** Answers when it is attached. */
async function echo(address: string): Promise<ChildProcess> {
  const child = second(address, 'echo')
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

async function ask(to: string, port: number, mebibytes: number, cuts: number): Promise<unknown> {
  const child = second('127.64.0.2', 'ask', to, String(port), String(mebibytes), String(cuts))
  return await json(child.stdout as NodeJS.ReadableStream)
}

it('speaks with itself, though both ends lose their links on the way', async () => {
  const far = await echo('127.64.0.3')
  const cutting = setInterval(() => far.stdin?.write('cut\n'), 400)
  const answer = await ask('127.64.0.3', 5_000, 24, 3).finally(() => clearInterval(cutting))
  expect(answer).toMatchObject({ bytes: 24 * MiB, same: true, reset: null })
  expect((answer as { resumes: number }).resumes).toBeGreaterThanOrEqual(3)
})

it('opens streams to ours, and goes on with them when its link was cut', async () => {
  const [port = 0] = await freePorts(1)
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  await once(server.listen(0, '::1'), 'listening')
  const target = { host: '::1', port: (server.address() as { port: number }).port }
  await world.tunnel(APP, '127.64.0.3', { serves: [{ port, target }] })
  const answer = await ask('127.64.0.3', port, 24, 3)
  expect(answer).toMatchObject({ bytes: 24 * MiB, same: true, reset: null })
  expect((answer as { resumes: number }).resumes).toBeGreaterThanOrEqual(3)
  expect(await ask('127.64.0.3', port + 1, 1, 0)).toMatchObject({ reset: 'forbidden' })
  expect(await ask('127.64.0.9', port, 1, 0)).toMatchObject({ reset: 'unknown' })
  server.close()
})

it('accepts streams of ours, and goes on with them when its link was cut', async () => {
  const [port = 0] = await freePorts(1)
  const far = await echo('127.64.0.3')
  const near = await world.tunnel(APP, '127.64.0.2', { dials: [{ port, class: 'bulk' }] })
  const socket = connect({ host: '127.64.0.3', port, allowHalfOpen: true })
  const sent = randomBytes(24 * MiB)
  const hash = createHash('sha256')
  let bytes = 0
  let cuts = 0
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
    if (cuts === 3 || bytes < (cuts + 1) * 6 * MiB) return
    cuts += 1
    far.stdin?.write('cut\n')
  })
  const ended = once(socket, 'end')
  socket.end(sent)
  await ended
  expect(bytes).toBe(sent.length)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
  expect((await near.stats()).resumes).toBeGreaterThanOrEqual(1)
})
