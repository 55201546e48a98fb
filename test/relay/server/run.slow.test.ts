import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { expiryIn, generateKeyLine, signToken } from '../../../relay/token/index.ts'
import { encodeHello } from '../../../relay/wire/control.ts'
import { FrameType, PREAMBLE } from '../../../relay/wire/header.ts'
import { makeCertificates } from '../../helper/certificates.ts'
import { neverAborted } from '../../helper/pipe-world.ts'
import { freePort } from '../../helper/redis.ts'
import { type RelayProcess, spawnRelay } from '../../helper/relay-process.ts'
import { RawLink } from '../../helper/relay-world.ts'

function start(
  args: readonly string[] = ['--listen', '127.0.0.1:0'],
  environment?: Record<string, string>,
): RelayProcess {
  const relay = spawnRelay(args, environment)
  onTestFinished(async () => {
    relay.child.kill('SIGKILL')
    await relay.ended
  })
  return relay
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'slr-run-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function attach(relay: RelayProcess, url?: string, addr = '127.64.0.2'): Promise<RawLink> {
  const link = new RawLink(
    await createPipeDialer().dial(url ?? ((await relay.listening)[0] as string), neverAborted),
  )
  const token = await signToken(relay.key, {
    app: 'spark-run',
    addr,
    gen: 1,
    role: 'tool',
    exp: expiryIn(60_000),
  })
  link.pipe.write(
    encodeHello({
      versions: [1, 1],
      token,
      incarnation: '0123456789abcdef',
      counter: 1,
      class: 'bulk',
      mode: 'attach',
    }),
  )
  onTestFinished(() => link.pipe.destroy())
  return link
}

describe('the relay command', () => {
  it('lives on when whoever asked its metrics for an upgrade resets the connection', async () => {
    const port = await freePort()
    const relay = start(['--listen', '127.0.0.1:0', '--metrics', `127.0.0.1:${port}`])
    await relay.listening
    const request =
      'GET /link HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
    for (let round = 0; round < 50; round += 1) {
      const socket = net.connect(port, '127.0.0.1').on('error', () => {})
      await once(socket, 'connect')
      socket.write(request)
      await new Promise((resolve) => setTimeout(resolve, round % 5))
      socket.resetAndDestroy()
    }
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
  })

  it('reads its keys again on SIGHUP, and keeps its links', async () => {
    const secrets = join(folder(), 'secret')
    const [first, second] = [generateKeyLine('first', '*'), generateKeyLine('second', '*')]
    writeFileSync(secrets, first, { mode: 0o600 })
    const relay = start(['--listen', '127.0.0.1:0', '--log-level', 'info', '--secret-file', secrets])
    await relay.listening
    writeFileSync(secrets, second, { mode: 0o600 })
    relay.child.kill('SIGHUP')
    await expect.poll(() => relay.output.stderr).toContain('secret file read again')
    expect(relay.child.exitCode).toBeNull()
    relay.child.kill('SIGTERM')
    expect(await relay.ended).toMatchObject({ code: 0 })
  })

  it('announces where it listens on stdout, logs to stderr, and ends with 0 on SIGTERM', async () => {
    const relay = start(['--listen', '127.0.0.1:0', '--listen', `unix:${join(folder(), 'relay.sock')}`])
    const [tcp, unix] = await relay.listening
    for (const url of [tcp, unix]) {
      const link = await attach(relay, url, url === tcp ? '127.64.0.2' : '127.64.0.3')
      expect(await link.frame(FrameType.welcome)).toBeDefined()
      link.pipe.end()
    }
    relay.child.kill('SIGTERM')
    expect(await relay.ended).toEqual({ code: 0, signal: null })
    expect(relay.output.stdout.split('\n')).toHaveLength(2)
    const logged = relay.output.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string })
    expect(logged.map(({ msg }) => msg)).toContain('ready')
    expect(() => statSync((unix as string).slice('unix:'.length))).toThrow('ENOENT')
  })

  it('drains on the first SIGTERM as long as links stay, and ends at once on the second', async () => {
    const relay = start(['--listen', '127.0.0.1:0', '--drain', '60s'])
    const link = await attach(relay)
    await link.frame(FrameType.welcome)
    relay.child.kill('SIGTERM')
    expect(await link.frame(FrameType.goAway)).toBeDefined()
    expect(relay.child.exitCode).toBeNull()
    const began = performance.now()
    relay.child.kill('SIGTERM')
    expect(await relay.ended).toEqual({ code: 1, signal: null })
    expect(performance.now() - began).toBeLessThan(10_000) // of 60 s
  })

  it('ends when its stdin ends, if it was told to', async () => {
    const relay = start(['--listen', '127.0.0.1:0', '--lifeline'])
    await attach(relay)
    relay.child.stdin?.end()
    expect((await relay.ended).code).toBe(0)
  })

  it('takes the Unix socket over that a killed one left', async () => {
    const path = join(folder(), 'relay.sock')
    const first = start(['--listen', `unix:${path}`])
    await first.listening
    first.child.kill('SIGKILL')
    await first.ended
    const second = start(['--listen', `unix:${path}`])
    const link = await attach(second)
    expect(await link.frame(FrameType.welcome)).toBeDefined()
  })

  it('serves metrics on --metrics, and then no longer on its links', async () => {
    const relay = start(['--listen', '127.0.0.1:0', '--metrics', '127.0.0.1:0'])
    const [tcp] = await relay.listening
    await expect.poll(() => relay.output.stderr).toContain('"metrics":"http')
    const metrics = /"metrics":"(http:[^"]+)"/.exec(relay.output.stderr)?.[1]
    expect((await fetch(`${metrics}/metrics`)).status).toBe(200)
    expect((await fetch(`${metrics}/readyz`)).status).toBe(200)
    expect((await fetch(`${tcp?.replace('tcp', 'http')}/metrics`)).status).toBe(403)
  })

  it('says with one sentence and exit code 2 what it cannot do, and does nothing else', async () => {
    const dir = folder()
    const certificates = makeCertificates()
    const others = makeCertificates()
    onTestFinished(() => {
      certificates.remove()
      others.remove()
    })
    const taken = net.createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    onTestFinished(() => {
      taken.close()
    })
    const { port } = taken.address() as net.AddressInfo
    writeFileSync(join(dir, 'open-keys'), 'k:*:secret', { mode: 0o644 })
    writeFileSync(join(dir, 'open.pem'), certificates.key, { mode: 0o644 })
    const free = ['--listen', '127.0.0.1:0']
    const cases: readonly [args: readonly string[], says: string, environment?: Record<string, string>][] = [
      [[...free, '--redis', 'redis://a,b'], '--redis redis://a,b: must be'],
      [[...free, '--redis-ca', 'ca.pem'], '--redis'],
      [[...free, '--workers', '2'], '--workers 2 needs --redis'],
      [['--listen', `127.0.0.1:${port}`], `127.0.0.1:${port} is in use`],
      [['--listen', '0.0.0.0:0'], '--plain'],
      [['--listen', '0.0.0.0:0', '--plain', '--redis', 'redis://127.0.0.1:1'], 'needs --advertise'],
      [[...free, '--tls-cert', certificates.certFile, '--tls-key', join(dir, 'open.pem')], 'chmod o='],
      [[...free, '--metrics', `127.0.0.1:${port}`], '--metrics'],
      [free, '--secret-file', { SLR_SECRET: '' }],
      [[...free, '--secret-file', join(dir, 'open-keys')], 'chmod 600'],
      [[...free, '--tls-cert', certificates.certFile, '--tls-key', others.keyFile], '--tls-key'],
      [[...free, '--tls-cert', join(dir, 'open-keys'), '--tls-key', certificates.keyFile], '--tls-cert'],
      [[...free, '--tls-cert', certificates.certFile], '--tls-key'],
      [[...free, '--handshake', '5h'], '--handshake 5h'],
    ]
    for (const [args, says, environment] of cases) {
      const relay = start(args, environment)
      expect([args, (await relay.ended).code]).toEqual([args, 2])
      expect(relay.output.stdout).toBe('')
      const lines = relay.output.stderr.trim().split('\n')
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/^spark-lambda-relay: /)
      expect(lines[0]).toContain(says)
    }
  })

  it('lets an endpoint attach within a second beside 10,000 sockets that say nothing or next to nothing', async () => {
    // These links answer no PING.
    const relay = start(['--listen', '127.0.0.1:0', '--silence', '60s'])
    const port = Number(/:(\d+)$/.exec((await relay.listening)[0] as string)?.[1])
    const crowd: net.Socket[] = []
    onTestFinished(() => {
      for (const socket of crowd) socket.destroy()
    })
    const openings = [
      Buffer.alloc(0),
      PREAMBLE,
      PREAMBLE.subarray(0, 1),
      Buffer.from('GET / HTTP/1.1\r\nx: y\r\n'),
      Buffer.from([0x16]),
    ]
    const attachMs: number[] = []
    for (let round = 0; round < 10; round += 1) {
      const batch = Array.from({ length: 1_000 }, (_, i) => {
        const socket = net.connect(port, '127.0.0.1').on('error', () => {})
        socket.write(openings[i % openings.length] as Buffer)
        crowd.push(socket)
        return socket
      })
      await Promise.all(batch.map((socket) => once(socket, 'connect')))
      const began = performance.now()
      const link = await attach(relay, undefined, `127.64.1.${round + 1}`)
      expect(await link.frame(FrameType.welcome)).toBeDefined()
      attachMs.push(performance.now() - began)
    }
    attachMs.sort((a, b) => a - b)
    expect(attachMs[5]).toBeLessThan(1_000)
    // Whoever has to wait for the crowd waits for its handshakes, 5 s.
    expect(attachMs[9]).toBeLessThan(4_500)
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const figure = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
    expect(figure('slr_relay_accepted_total')).toBeGreaterThan(9_000)
    expect(figure('slr_relay_unauthenticated_connections')).toBeLessThanOrEqual(4_097)
    expect(figure('slr_relay_links\\{class="bulk",state="attached"\\}')).toBe(10)
  })
})
