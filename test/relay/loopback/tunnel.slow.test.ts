/** Tunnels with the real endpoint, worker thread and relay; the relay is a process that can be killed. */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { getPriority } from 'node:os'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Tunnel, TunnelOptions } from '../../../relay/loopback/index.ts'
import { ExecWorld, freePorts } from '../../helper/exec-world.ts'

const APP = 'tunnel-test'
const MiB = 1024 * 1024

let world: ExecWorld
const closers: (() => void)[] = []
beforeEach(async () => {
  world = await ExecWorld.start(['--grace', '3s'])
})
afterEach(async () => {
  for (const close of closers.splice(0)) close()
  await world.close()
})

function tunnel(address: string, options: Partial<TunnelOptions> = {}, gen = 0): Promise<Tunnel> {
  return world.tunnel(APP, address, options, gen)
}

/** A server on ::1; answers its port. */
async function server(handle: (socket: Socket) => void): Promise<number> {
  const listener = createServer({ allowHalfOpen: true }, handle).listen(0, '::1')
  await once(listener, 'listening')
  closers.push(() => listener.close())
  return (listener.address() as { port: number }).port
}

async function ask(host: string, port: number, text: string): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.end(text)
  return (await buffer(socket)).toString()
}

const echo = (socket: Socket): void => {
  socket.on('error', () => {}).pipe(socket)
}

/** Nice values of the threads of this process, proc_pid_stat(5). */
function threadPriorities(): number[] {
  return readdirSync('/proc/self/task').map((tid) => {
    const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })
}

it('the thread for bulk streams gives way to the one for urgent streams, and nothing else does', async () => {
  const own = getPriority()
  expect(new Set(threadPriorities())).toEqual(new Set([own]))
  await tunnel('127.64.0.2', { bulkThread: true })
  expect(threadPriorities().filter((each) => each !== own)).toEqual([Math.min(19, own + 8)])
})

describe.each([true, false])('a tunnel (bulk thread: %s)', (bulkThread) => {
  it('carries both classes, tells of each accepted stream, and counts bytes by peer', async () => {
    const [urgent = 0, bulk = 0] = await freePorts(2)
    const target = await server(echo)
    const opened: string[] = []
    const near = await tunnel('127.64.0.2', {
      bulkThread,
      dials: [
        { port: urgent, class: 'urgent' },
        { port: bulk, class: 'bulk' },
      ],
      onStream: (peer, port) => opened.push(`${peer} ${port}`),
    })
    const serves = [urgent, bulk].map((port) => ({ port, target: { host: '::1', port: target } }))
    const far = await tunnel('127.64.0.3', { bulkThread, serves })
    expect(await ask('127.64.0.3', urgent, 'quick')).toBe('quick')
    expect(await ask('127.64.0.3', bulk, 'x'.repeat(MiB))).toBe('x'.repeat(MiB))
    expect(opened.sort()).toEqual([`127.64.0.3 ${urgent}`, `127.64.0.3 ${bulk}`].sort())
    const peer = { peer: '127.64.0.3', sentBytes: MiB + 5, receivedBytes: MiB + 5, streams: 2 }
    expect(await near.stats()).toMatchObject({ peers: [peer], resumes: 0, resets: {}, foreignConnections: 0 })
    expect((await far.stats()).peers).toEqual([{ ...peer, peer: '127.64.0.2' }])
  })

  it('goes on with its streams when the relay was killed and came back', async () => {
    const [port = 0] = await freePorts(1)
    const target = await server(echo)
    const near = await tunnel('127.64.0.2', { bulkThread, dials: [{ port, class: 'bulk' }] })
    await tunnel('127.64.0.3', { bulkThread, serves: [{ port, target: { host: '::1', port: target } }] })
    const socket = connect({ host: '127.64.0.3', port, allowHalfOpen: true })
    const answer = buffer(socket)
    const block = Buffer.alloc(MiB, 'abcdefghijklmnopqrstuvwxyz')
    for (let round = 0; round < 40; round += 1) {
      if (round === 10) {
        await world.killRelay()
        await world.startRelay()
      }
      if (!socket.write(block)) await once(socket, 'drain')
    }
    socket.end()
    expect((await answer).equals(Buffer.concat(Array.from({ length: 40 }, () => block)))).toBe(true)
    expect((await near.stats()).resumes).toBeGreaterThan(0)
  })

  it('counts foreign connections to the listeners of both lanes', async () => {
    const [urgent = 0, bulk = 0] = await freePorts(2)
    const near = await tunnel('127.64.0.2', {
      bulkThread,
      dials: [
        { port: urgent, class: 'urgent' },
        { port: bulk, class: 'bulk' },
      ],
    })
    for (const port of [urgent, bulk]) {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => {})
      await new Promise((resolve) => socket.on('close', resolve))
    }
    expect((await near.stats()).foreignConnections).toBe(2)
  })

  it('is refused with the port and the remedy when a bulk port is taken, and leaves nothing open', async () => {
    const [port = 0, other = 0] = await freePorts(2)
    await tunnel('127.64.0.2', { bulkThread, dials: [{ port, class: 'bulk' }] })
    const dials = [
      { port: other, class: 'urgent' },
      { port, class: 'bulk' },
    ] as const
    await expect(tunnel('127.64.0.3', { bulkThread, dials })).rejects.toMatchObject({
      code: 'port-in-use',
      exitCode: 2,
      message: expect.stringContaining(String(port)),
    })
    const free = createServer().listen(other, '0.0.0.0')
    await once(free, 'listening')
    free.close()
  })

  it('resets what is open to a peer that leaves, at once, and what is dialled to it later', async () => {
    const [port = 0] = await freePorts(1)
    const target = await server(echo)
    await tunnel('127.64.0.2', { bulkThread, dials: [{ port, class: 'bulk' }] })
    const far = await tunnel('127.64.0.3', {
      bulkThread,
      serves: [{ port, target: { host: '::1', port: target } }],
      endpoint: { goodbyeMs: 0 },
    })
    const open = connect({ host: '127.64.0.3', port })
    open.write('there?')
    await once(open, 'data')
    const failure = Promise.withResolvers<NodeJS.ErrnoException>()
    open.on('error', failure.resolve)
    const before = performance.now()
    await far.close()
    expect(await failure.promise).toMatchObject({ code: 'ECONNRESET' })
    expect(performance.now() - before).toBeLessThan(2_500) // grace is 3 s
    // A relay that has just started waits out the grace: the address may only not be back yet.
    await expect(ask('127.64.0.3', port, 'gone')).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  it('ends with the reason when no relay comes back', async () => {
    const near = await tunnel('127.64.0.2', { bulkThread, endpoint: { noRelayMs: 500 } })
    await world.killRelay()
    expect(await near.ended).toMatchObject({
      code: 'no-relay',
      message: expect.stringMatching(
        /^no relay took this address for 0\.5 s; tried \S+ \(.*(ENOENT|ECONNREFUSED)/,
      ),
    })
    expect(near.attached).toBe(false)
  })
})

describe('control streams', () => {
  it('carry messages both ways through a killed relay, each once and in order', async () => {
    const heard: unknown[] = []
    const all = Promise.withResolvers<void>()
    await tunnel('127.64.0.1', {
      onControl: (peer, channel) =>
        channel.onMessage((message) => {
          heard.push(message)
          channel.send({ to: peer, echo: message })
          if (heard.length === 200) all.resolve()
        }),
    })
    const near = await tunnel('127.64.0.2')
    const channel = near.openControl('127.64.0.1')
    const answers: unknown[] = []
    channel.onMessage((message) => answers.push(message))
    for (let number = 0; number < 200; number += 1) {
      channel.send(number)
      if (number === 100) {
        await world.killRelay()
        await world.startRelay()
      }
    }
    await all.promise
    expect(heard).toEqual(Array.from({ length: 200 }, (_, number) => number))
    await expect.poll(() => answers.length).toBe(200)
    expect(answers.at(-1)).toEqual({ to: '127.64.0.2', echo: 199 })
  })

  it('end in order when either end closes its tunnel, and keep it waiting for nobody', async () => {
    const opened = Promise.withResolvers<void>()
    const far = await tunnel('127.64.0.1', { onControl: () => opened.resolve() })
    const near = await tunnel('127.64.0.2')
    const channel = near.openControl('127.64.0.1')
    const ended = new Promise<Error | undefined>((resolve) => channel.onEnd(resolve))
    channel.send('hello')
    await opened.promise
    const before = performance.now()
    await far.close()
    expect(await ended).toBeUndefined()
    expect(performance.now() - before).toBeLessThan(10_000)
  })
})

describe('an address', () => {
  it('that was retired is reset for its peers at once, and may not come back', async () => {
    const [port = 0] = await freePorts(1)
    const target = await server(echo)
    const driver = await tunnel('127.64.0.1', { dials: [{ port, class: 'bulk' }] })
    const far = await tunnel('127.64.0.3', { serves: [{ port, target: { host: '::1', port: target } }] })
    const socket = connect({ host: '127.64.0.3', port, allowHalfOpen: true })
    socket.write('hello')
    await once(socket, 'data')
    const failure = Promise.withResolvers<NodeJS.ErrnoException>()
    socket.on('error', failure.resolve)
    driver.retire('127.64.0.3', 0)
    expect(await failure.promise).toMatchObject({ code: 'ECONNRESET' })
    expect(await far.ended).toMatchObject({ code: 'refused', message: expect.stringMatching(/retired/) })
  })
})
