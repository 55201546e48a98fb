import { once } from 'node:events'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type LogServer, startLogServer } from '../../driver-agent/log-server.ts'

let dir: string
let server: LogServer
const asked: [string, string][] = []

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'slr-logs-'))
  writeFileSync(join(dir, 'one.log'), 'first line\nlast line\n')
  writeFileSync(join(dir, 'empty.log'), '')
  asked.length = 0
  server = await startLogServer((application, executor) => {
    asked.push([application, executor])
    return { 1: join(dir, 'one.log'), 2: join(dir, 'empty.log'), 3: join(dir, 'absent.log') }[executor]
  })
})
afterEach(() => {
  server.close()
  rmSync(dir, { recursive: true, force: true })
})

/** The URL as Spark fills it in. */
function urlOf(application: string, executor: string): string {
  return server.urlPattern.replace('{{APP_ID}}', application).replace('{{EXECUTOR_ID}}', executor)
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined // the one that listed them
  }
}

describe('the server of executors’ logs', () => {
  it('shows a log under the URL that Spark fills in', async () => {
    const response = await fetch(urlOf('spark-abc', '1'))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('text/plain')
    expect(await response.text()).toBe('first line\nlast line\n')
    expect(asked).toEqual([['spark-abc', '1']])
  })

  it('shows an empty log as nothing', async () => {
    const response = await fetch(urlOf('spark-abc', '2'))
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  it.each(['3', '4', '%2e%2e'])('has no log of executor %s', async (executor) => {
    expect((await fetch(urlOf('spark-abc', executor))).status).toBe(404)
  })

  it('answers nobody who does not know its word', async () => {
    const { origin } = new URL(urlOf('spark-abc', '1'))
    for (const path of ['/', '/spark-abc/1', `/${'0'.repeat(32)}/spark-abc/1`]) {
      expect((await fetch(origin + path)).status).toBe(404)
    }
    expect(asked).toEqual([])
  })

  it('closes the file when the browser goes away in the middle of it', async () => {
    writeFileSync(join(dir, 'one.log'), 'x'.repeat(16 * 1024 * 1024))
    const { port, pathname } = new URL(urlOf('spark-abc', '1'))
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\n\r\n`)
    await once(socket, 'data')
    socket.pause()
    const opened = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === join(dir, 'one.log')).length
    expect(opened()).toBe(1)
    socket.destroy()
    await expect.poll(opened).toBe(0)
  })

  it('has no more than 50 connections, so that strangers cannot take all descriptors', async () => {
    const { port } = new URL(urlOf('spark-abc', '1'))
    const sockets = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const socket = connect(Number(port), '127.0.0.1')
        socket.on('error', () => {})
        await once(socket, 'connect')
        return socket
      }),
    )
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (const socket of sockets) socket.resume()
    await expect.poll(() => sockets.filter(({ closed }) => !closed).length).toBe(50)
  })

  it('is not brought down by a path that cannot be read', async () => {
    const broken = urlOf('%E0%A4%A', '1')
    expect((await fetch(broken)).status).toBe(404)
    expect((await fetch(urlOf('spark-abc', '1'))).status).toBe(200)
  })
})
