/**
 * Programs that no one here wrote, unchanged, between two `exec`s: iperf3, Redis, an HTTP
 * server under autocannon, rsync. Where one is missing its test is skipped with the command
 * that installs it; in CI nothing is skipped.
 */
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findProgram } from '../../executor-shim/exec-child.ts'
import { ExecWorld, eventually, type Finished, freePorts } from '../helper/exec-world.ts'

const MiB = 1024 * 1024
/** Size of the file that rsync copies, MiB. npm run test:full takes 1024. */
const RSYNC_MIB = Number(process.env.SLR_TEST_RSYNC_MIB ?? 256)
const SERVER = '127.64.0.3'

let world: ExecWorld
let port: number
let target: number
beforeEach(async () => {
  world = await ExecWorld.start()
  const [first = 0, second = 0] = await freePorts(2)
  port = first
  target = second
})
afterEach(() => world.close())

/** A test that needs programs of the package `from`. */
function needing(
  programs: readonly string[],
  from: string,
): { name: (what: string) => string; isMissing: boolean } {
  const missing = programs.filter((program) => findProgram(program, process.env.PATH ?? '') === undefined)
  const isMissing = missing.length > 0 && !process.env.CI
  return { isMissing, name: (what) => (isMissing ? `${what} (missing: apt-get install ${from})` : what) }
}

/** A server on [::1]:target that others dial as SERVER:port. */
function serve(command: readonly string[]): void {
  world.exec(3, command, { serve: [`${port}=[::1]:${target}`] })
}

/** A client whose dials to SERVER:port are tunnelled. Rejects when it fails. */
async function client(command: readonly string[], stdin?: string): Promise<Finished> {
  const finished = await world.exec(2, command, {
    dial: [String(port)],
    ...(stdin === undefined ? {} : { stdin }),
  }).finished
  if (finished.code !== 0)
    throw new Error(`${command[0]} ended with ${finished.code}: ${finished.err}${finished.out}`)
  return finished
}

describe('iperf3', () => {
  const needs = needing(['iperf3'], 'iperf3')

  interface Report {
    readonly error?: string
    readonly end: Record<
      'sum_sent' | 'sum_received' | 'sum_sent_bidir_reverse' | 'sum_received_bidir_reverse',
      { bytes: number }
    >
  }

  it.skipIf(needs.isMissing)(needs.name('measures both ways, one after the other and at once'), async () => {
    serve(['iperf3', '--server', '--bind', '::1', '--port', String(target)])
    const measure = async (...more: string[]): Promise<Report['end']> => {
      const { out } = await client([
        'iperf3',
        '--client',
        SERVER,
        '--port',
        String(port),
        '--time',
        '2',
        '--json',
        ...more,
      ])
      const report = JSON.parse(out) as Report
      expect(report.error).toBeUndefined()
      return report.end
    }
    const up = await eventually(() => measure())
    expect(up.sum_received.bytes).toBeGreaterThan(20 * MiB)
    const down = await measure('--reverse')
    expect(down.sum_received.bytes).toBeGreaterThan(20 * MiB)
    const both = await measure('--bidir', '--parallel', '4')
    expect(both.sum_received.bytes).toBeGreaterThan(10 * MiB)
    expect(both.sum_received_bidir_reverse.bytes).toBeGreaterThan(10 * MiB)
  })
})

describe('Redis', () => {
  const needs = needing(['redis-server', 'redis-cli', 'redis-benchmark'], 'redis-server')
  const redisCli = ['redis-cli', '-h', SERVER]

  it.skipIf(needs.isMissing)(needs.name('answers redis-cli and redis-benchmark'), async () => {
    serve(['redis-server', '--bind', '::1', '--port', String(target), '--save', '', '--dir', world.dir])
    const cli = (args: readonly string[], stdin?: string): Promise<Finished> =>
      client([...redisCli, '-p', String(port), ...args], stdin)
    await eventually(async () => expect((await cli(['ping'])).out).toBe('PONG\n'))
    const value = randomBytes(8 * MiB).toString('hex') // 16 MiB of text
    expect((await cli(['-x', 'set', 'big'], value)).out).toBe('OK\n')
    expect((await cli(['get', 'big'])).out).toBe(`${value}\n`)
    const many = Array.from({ length: 20_000 }, (_, index) => `SET key:${index} ${index}\r\n`).join('')
    expect((await cli(['--pipe'], many)).out).toMatch(/errors: 0, replies: 20000/)
    expect((await cli(['get', 'key:19999'])).out).toBe('19999\n')
    const { out } = await client([
      'redis-benchmark',
      '-h',
      SERVER,
      '-p',
      String(port),
      '-n',
      '20000',
      '-c',
      '50',
      '-t',
      'set,get,lpush',
      '--csv',
    ])
    expect(out).toMatch(/"SET","[\d.]+"[\s\S]*"GET","[\d.]+"[\s\S]*"LPUSH","[\d.]+"/)
  })
})

describe('an HTTP server', () => {
  const server = `
    const body = Buffer.alloc(20000, 'x'), big = Buffer.alloc(50 << 20, 'y')
    require('http').createServer((request, response) => {
      request.resume().on('end', () => response.end(request.url === '/big' ? big : body))
    }).listen(+process.argv[1], '::1')`
  const autocannon = join(import.meta.dirname, '../../node_modules/autocannon/autocannon.js')

  it('answers every request of autocannon, small and large, kept alive and not', async () => {
    serve([process.execPath, '-e', server, String(target)])
    const fire = async (
      path: string,
      ...more: string[]
    ): Promise<Record<string, number> & { requests: { total: number } }> => {
      const url = `http://${SERVER}:${port}${path}`
      const options = ['--json', '--no-progress', '--timeout', '60', ...more]
      const { out } = await client([process.execPath, autocannon, ...options, url])
      return JSON.parse(out)
    }
    await eventually(() => fire('/', '--amount', '1', '--connections', '1'))
    const steady = await fire('/', '--duration', '3', '--connections', '50', '--pipelining', '4')
    expect(steady).toMatchObject({ errors: 0, timeouts: 0, non2xx: 0, mismatches: 0 })
    expect(steady.requests.total).toBeGreaterThan(500)
    // A new connection for each request: streams come and go by the hundred. autocannon does not
    // count what comes with the end of a connection, so it tells fewer than it asked for.
    const brief = await fire('/', '--amount', '500', '--connections', '20', '--headers', 'connection: close')
    expect(brief).toMatchObject({ errors: 0, timeouts: 0, non2xx: 0 })
    expect(brief['2xx']).toBeGreaterThan(100)
    const large = await fire('/big', '--amount', '4', '--connections', '4')
    expect(large).toMatchObject({ errors: 0, timeouts: 0, non2xx: 0, '2xx': 4 })
  })
})

describe('rsync', () => {
  const needs = needing(['rsync'], 'rsync')

  it.skipIf(needs.isMissing)(
    needs.name(`copies a file of ${RSYNC_MIB} MiB there and back with equal checksums`),
    { timeout: 300_000 },
    async () => {
      const [files, here] = ['files', 'here'].map((name) => join(world.dir, name)) as [string, string]
      mkdirSync(files)
      mkdirSync(here)
      writeRandom(join(files, 'big'), RSYNC_MIB)
      const config = join(world.dir, 'rsyncd.conf')
      writeFileSync(
        config,
        `use chroot = no\n[files]\npath = ${files}\nread only = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\n`,
      )
      serve(['rsync', '--daemon', '--no-detach', '--address=::1', `--port=${target}`, `--config=${config}`])
      const rsync = (from: string, to: string): Promise<Finished> =>
        client(['rsync', `--port=${port}`, '--whole-file', from, to])
      await eventually(() => client(['rsync', `--port=${port}`, `rsync://${SERVER}/`]))
      await rsync(`rsync://${SERVER}/files/big`, `${here}/`)
      await rsync(join(here, 'big'), `rsync://${SERVER}/files/back`)
      const sums = await Promise.all(
        [join(files, 'big'), join(here, 'big'), join(files, 'back')].map(checksum),
      )
      expect(new Set(sums).size).toBe(1)
    },
  )
})

/** A file that no compression and no luck can shorten. */
function writeRandom(file: string, mebibytes: number): void {
  execFileSync('sh', ['-c', 'head -c "$1"M /dev/urandom >"$2"', 'sh', String(mebibytes), file])
}

async function checksum(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
