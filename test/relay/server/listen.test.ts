import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Front } from '../../../relay/server/front.ts'
import {
  isLoopback,
  type ListenAddress,
  type Listener,
  type ListenOptions,
  listen,
} from '../../../relay/server/listen.ts'
import { RelayMetrics } from '../../../relay/server/metrics.ts'
import { systemClock } from '../../../relay/time/clock.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'slr-listen-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function bind(address: ListenAddress, over: Partial<ListenOptions> = {}): Promise<Listener> {
  const front = new Front({
    node: { accept: (pipe) => pipe.destroy() },
    http: { isReady: () => true, scrape: async () => ({ text: '', contentType: 'text/plain' }) },
    metrics: new RelayMetrics(),
    clock: systemClock,
    limits: { handshakeMs: 1_000, maxUnauthenticated: 10, maxUnauthenticatedPerRemote: 10 },
  })
  const options = { front, hasTls: false, isPlainAllowed: false, servesMetricsLocally: true, ...over }
  const listener = await listen(address, options)
  onTestFinished(() => listener.close())
  return listener
}

describe('listening on a Unix socket', () => {
  it('makes its folder private and the socket for this user only', async () => {
    const path = join(folder(), 'made', 'relay.sock')
    const before = process.umask()
    const listener = await bind({ is: 'unix', path })
    expect(process.umask()).toBe(before)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
    expect(listener.url).toBe(`unix:${path}`)
    expect(listener.port).toBeUndefined()
  })

  it('removes a socket that a killed relay left, and its own when it closes', async () => {
    const path = join(folder(), 'relay.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    const { signal } = spawnSync(process.execPath, ['-e', script], { stdio: 'ignore' })
    expect([signal, existsSync(path)]).toEqual(['SIGKILL', true])
    const listener = await bind({ is: 'unix', path })
    await once(net.connect({ path }), 'connect')
    await listener.close()
    expect(existsSync(path)).toBe(false)
  })

  it('leaves one alone on which somebody listens, and a file that is no socket', async () => {
    const dir = folder()
    const path = join(dir, 'relay.sock')
    await bind({ is: 'unix', path })
    await expect(bind({ is: 'unix', path })).rejects.toMatchObject({ code: 'in-use', exitCode: 2 })
    await once(net.connect({ path }), 'connect')
    writeFileSync(join(dir, 'file'), 'precious')
    await expect(bind({ is: 'unix', path: join(dir, 'file') })).rejects.toMatchObject({ code: 'in-use' })
    expect(existsSync(join(dir, 'file'))).toBe(true)
  })

  it('refuses a folder that others may write to, and a path that is too long', async () => {
    const dir = join(folder(), 'open')
    mkdirSync(dir)
    chmodSync(dir, 0o777)
    await expect(bind({ is: 'unix', path: join(dir, 'relay.sock') })).rejects.toMatchObject({
      code: 'folder',
    })
    const long = join(folder(), 'x'.repeat(100))
    await expect(bind({ is: 'unix', path: long })).rejects.toThrow('107 bytes')
  })
})

describe.skipIf(process.getuid?.() !== 0)('listening on a Unix socket in a folder of another user', () => {
  it.each([0o700, 0o755, 0o1777])('is refused whatever its mode: %o', async (mode) => {
    const dir = join(folder(), 'his')
    mkdirSync(dir)
    chmodSync(dir, mode)
    chownSync(dir, 54_321, 54_321)
    const path = join(dir, 'relay.sock')
    await expect(bind({ is: 'unix', path })).rejects.toMatchObject({
      code: 'folder',
      exitCode: 2,
      message: expect.stringMatching(/his belongs to another user \(uid 54321\).*; name a folder of yours$/),
    })
    expect(existsSync(path)).toBe(false)
  })

  it("is allowed where that user is root, as in /tmp, and the socket is this user's", () => {
    const script = `
      const { createServer } = await import('node:net')
      const { listen } = await import('./relay/server/listen.ts')
      const front = { handleConnection: (socket) => socket.destroy() }
      const address = { is: 'unix', path: process.argv[1] }
      const listener = await listen(address, { front, hasTls: false, isPlainAllowed: false, servesMetricsLocally: false })
      console.log(listener.url)
      await listener.close()`
    const dir = folder()
    chmodSync(dir, 0o1777)
    const path = join(dir, 'relay.sock')
    const as = ['--reuid', '54321', '--clear-groups', '--']
    const node = [process.execPath, '--input-type=module-typescript', '-e', script, path]
    const { stdout } = spawnSync('setpriv', [...as, ...node], { encoding: 'utf8' })
    expect(stdout).toBe(`unix:${path}\n`)
  })
})

describe('listening on TCP', () => {
  it('answers the URL with the port that was bound', async () => {
    const listener = await bind({ is: 'tcp', host: '127.0.0.1', port: 0 })
    expect(listener.url).toBe(`tcp://127.0.0.1:${listener.port}`)
    expect(listener.port).toBeGreaterThan(0)
    const secure = await bind({ is: 'tcp', host: '127.0.0.1', port: 0 }, { hasTls: true })
    expect(secure.url).toMatch(/^tls:/)
  })

  it('refuses other addresses than loopback without TLS, unless plain links are asked for', async () => {
    const everywhere: ListenAddress = { is: 'tcp', host: '0.0.0.0', port: 0 }
    await expect(bind(everywhere)).rejects.toMatchObject({ code: 'plain', exitCode: 2 })
    await expect(bind(everywhere)).rejects.toThrow('--plain')
    await expect(bind(everywhere, { isPlainAllowed: true })).resolves.toBeDefined()
    await expect(bind(everywhere, { hasTls: true })).resolves.toBeDefined()
  })

  it('says which address is in use, not this machine’s, or unknown', async () => {
    const { port } = await bind({ is: 'tcp', host: '127.0.0.1', port: 0 })
    const taken: ListenAddress = { is: 'tcp', host: '127.0.0.1', port: port as number }
    await expect(bind(taken)).rejects.toMatchObject({ code: 'in-use' })
    await expect(bind(taken)).rejects.toThrow(`--listen 127.0.0.1:${port}`)
    const foreign: ListenAddress = { is: 'tcp', host: '192.0.2.1', port: 0 }
    await expect(bind(foreign, { isPlainAllowed: true })).rejects.toMatchObject({ code: 'no-address' })
  })
})

describe('what is loopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['127.example.org', false],
  ])('%s: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected)
  })
})
