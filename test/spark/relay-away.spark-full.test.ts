/** A relay that is away for 20 s, seen by what is behind a stream: a program that looks at each byte, and Spark. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ExecWorld, freePorts } from '../helper/exec-world.ts'
import { jobs, type Submitted, startSubmit } from './harness.ts'
import { type OwnRelay, ownRelay } from './own-relay.ts'

const AWAY_MS = 20_000

let job: Submitted | undefined
let relay: OwnRelay | undefined
let world: ExecWorld | undefined
afterEach(async () => {
  await job?.remove()
  await relay?.remove()
  await world?.close()
  job = undefined
  relay = undefined
  world = undefined
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const echo = (port: number) => `
import { createServer } from 'node:net'
createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(${port}, '::1')`

/** Sends numbered bytes for `seconds` over one connection, and looks at each that comes back. */
const checker = (host: string, port: number, seconds: number) => `
import { createConnection } from 'node:net'
import { once } from 'node:events'
const block = (at) => Buffer.from(Array.from({ length: 16384 }, (_, i) => ((at + i) * 2654435761 >>> 13) & 255))
const socket = createConnection({ host: '${host}', port: ${port}, allowHalfOpen: true })
let sent = 0, received = 0, wrong = 0, last = performance.now(), longestPauseMs = 0, expected = []
socket.on('data', (bytes) => {
  longestPauseMs = Math.max(longestPauseMs, performance.now() - last)
  last = performance.now()
  received += bytes.length
  for (let rest = bytes; rest.length > 0; ) {
    const part = expected[0].subarray(0, rest.length)
    if (!part.equals(rest.subarray(0, part.length))) wrong += 1
    rest = rest.subarray(part.length)
    if (part.length === expected[0].length) expected.shift()
    else expected[0] = expected[0].subarray(part.length)
  }
})
const ended = once(socket, 'end')
await once(socket, 'connect')
const until = performance.now() + ${seconds * 1000}
while (performance.now() < until) {
  const next = block(sent)
  expected.push(next)
  sent += next.length
  if (!socket.write(next)) await once(socket, 'drain')
  await new Promise((resolve) => setTimeout(resolve, 10))
}
socket.end()
await ended
console.log(JSON.stringify({ sent, received, wrong, longestPauseMs }))`

describe('a relay that is away for 20 s', () => {
  it('costs a stream time and not a byte', async () => {
    world = await ExecWorld.start()
    const [port = 0, target = 0] = await freePorts(2)
    const node = (script: string) => [process.execPath, '--input-type=module', '--eval', script]
    world.exec(3, node(echo(target)), { serve: [`${port}=[::1]:${target}`] })
    await pause(2_000) // until it is attached and listens; a dial before that is refused
    const { finished } = world.exec(2, node(checker('127.64.0.3', port, 32)), { dial: [String(port)] })
    await pause(4_000)
    await world.killRelay()
    await pause(AWAY_MS)
    await world.startRelay()
    const { code, out, err } = await finished
    expect(code, err).toBe(0)
    const seen = JSON.parse(out) as { sent: number; received: number; wrong: number; longestPauseMs: number }
    expect(seen).toMatchObject({ received: seen.sent, wrong: 0 })
    expect(seen.sent).toBeGreaterThan(4_000_000)
    // It was away indeed, and was found again soon.
    expect(seen.longestPauseMs).toBeGreaterThan(AWAY_MS - 1_000)
    expect(seen.longestPauseMs).toBeLessThan(AWAY_MS + 8_000)
  })

  it('costs Spark time and not a task', async () => {
    const own = ownRelay()
    relay = own
    await own.start()
    job = await startSubmit({
      version: '3.5.7',
      options: ['--relay', own.url, '--secret-file', own.secretFile],
      conf: { 'spark.reducer.maxSizeInFlight': '1m' },
      program: [join(jobs, 'slow_fetch.py'), '{result}'],
    })
    await job.saw('fetching', 240_000)
    await pause(1_500)
    await own.kill()
    await pause(AWAY_MS)
    await own.start()
    expect(await job.ended, job.output.slice(-3_000)).toBe(0)
    expect(job.result()).toMatchObject({ right: true, pieces: 180 })
    const events = job.events()
    expect(events.failedTasks.map((task) => task['Task End Reason'].Reason)).toEqual([])
    expect(events.executorsRemoved.filter((event) => !/shut|stop/i.test(event['Removed Reason']))).toEqual([])
    expect(job.summary().resumes).toBeGreaterThan(0)
  })
})
