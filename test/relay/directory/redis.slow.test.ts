/** The directory contract on a real redis-server, and what only a server can do: die, hang, come back empty, fail over. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Claim, DirectoryChange, LeaseKey } from '../../../relay/directory/directory.ts'
import { RedisAccessError, RedisDirectory } from '../../../relay/directory/redis.ts'
import { parseRedisUrl, type RedisTarget } from '../../../relay/directory/redis-url.ts'
import { systemClock } from '../../../relay/time/clock.ts'
import { describeDirectory } from '../../contract/directory.ts'
import { makeCertificates } from '../../helper/certificates.ts'
import {
  eventually,
  freePort,
  RedisServer,
  startCluster,
  startSentinels,
  tlsArgs,
  whyNoRedis,
} from '../../helper/redis.ts'

const log = pino({ level: 'silent' })
const reason = whyNoRedis()
if (reason !== undefined) console.warn(`NOT RUN: ${reason}`)

async function open(url: string, more: { password?: string; tlsCa?: Buffer } = {}): Promise<RedisDirectory> {
  const target = parseRedisUrl(url) as RedisTarget
  return await RedisDirectory.open({ target, clock: systemClock, log, commandMs: 1_000, ...more })
}
async function opened(url: string): Promise<RedisDirectory> {
  const directory = await open(url)
  onTestFinished(() => directory.close())
  expect(directory.isReachable).toBe(true)
  return directory
}
const passMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const key: LeaseKey = { app: 'spark-a', address: '127.64.0.7', class: 'bulk' }
const claim: Claim = {
  node: 'relay-a',
  urls: ['tcp://10.0.0.1:7100'],
  generation: 1,
  incarnation: '00000000000000aa',
  counter: 1,
}

describe.skipIf(reason !== undefined)('on one redis-server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.stop())

  describeDirectory('Redis', async () => {
    server.cli('flushall')
    return {
      directory: await open(server.url),
      passMs,
      emptied: async () => {
        server.cli('flushall')
        return await open(server.url)
      },
    }
  })

  it('asks once for a lookup, and not at all for one that was asked a moment ago', async () => {
    const directory = await opened(server.url)
    const other = await opened(server.url)
    await directory.claim(key, { ...claim, generation: 10 }, 10_000)
    await passMs(50) // the hint of the claim has passed: `other` would know without asking
    const another = { ...key, address: '127.64.0.9' }
    const before = other.figures.commands.lookup
    await Promise.all(Array.from({ length: 50 }, () => other.lookup(key, 'fresh')))
    expect(other.figures.commands.lookup - before).toBe(50)
    for (let i = 0; i < 50; i++) expect(await other.lookup(key, 'cached')).toMatchObject({ node: 'relay-a' })
    expect(other.figures.commands.lookup - before).toBe(50)
    await Promise.all(Array.from({ length: 50 }, () => other.lookup(another, 'cached')))
    expect(other.figures.commands.lookup - before).toBe(51)
  })

  it('forgets a cached lease when another relay takes it', async () => {
    const [a, b] = [await opened(server.url), await opened(server.url)]
    const told: DirectoryChange['is'][] = []
    b.subscribe((change) => told.push(change.is))
    await a.claim(key, { ...claim, generation: 20 }, 10_000)
    await eventually('the first hint came', () => told.length === 1)
    expect(await b.lookup(key, 'cached')).toMatchObject({ node: 'relay-a' })
    await a.claim(key, { ...claim, generation: 20, counter: 2, node: 'relay-c' }, 10_000)
    await eventually('the hint came', () => told.length === 2)
    expect(await b.lookup(key, 'cached')).toMatchObject({ node: 'relay-c' })
    await a.retire(key.app, key.address, 20)
    await eventually('it is retired', () => told.includes('retired'))
    expect(await b.lookup(key, 'cached')).toBeUndefined()
  })

  it('tells the relays of each other, until one is silent for its time', async () => {
    const [a, b] = [await opened(server.url), await opened(server.url)]
    const record = {
      urls: ['tcp://a:1'],
      classes: ['bulk'] as const,
      links: 3,
      bytesPerSecond: 7,
      isLeaving: false,
    }
    a.announce({ node: 'a', ...record }, 1_500)
    b.announce({ node: 'b', ...record }, 1_500)
    await eventually('both are known to both', () => a.nodes().length === 2 && b.nodes().length === 2)
    expect(b.nodes().find((one) => one.node === 'a')).toEqual({ node: 'a', ...record })
    await a.close()
    await eventually('a is forgotten', () => b.nodes().length === 1, 4_000)
  })

  it('goes on with higher epochs than any it saw, whatever the clock of Redis says', async () => {
    const directory = await opened(server.url)
    const far = { ...key, address: '127.64.1.1' }
    const lease = await directory.claim(far, claim, 10_000)
    server.cli('hset', `slr:{${far.app}/${far.address}}:address`, 'epoch', String(lease.epoch + 1_000_000))
    const ahead = await directory.claim(far, { ...claim, counter: 2 }, 10_000)
    server.cli('flushall')
    const after = await directory.claim({ ...far, address: '127.64.1.2' }, claim, 10_000)
    expect(after.epoch).toBeGreaterThanOrEqual(ahead.epoch)
  })

  it('hears nothing of a fleet in another database', async () => {
    const other = await opened(`${server.url}/1`)
    const own = await opened(server.url)
    const told: { elsewhere: string[]; here: string[] } = { elsewhere: [], here: [] }
    other.subscribe((change) => told.elsewhere.push(change.is))
    own.subscribe((change) => told.here.push(change.is))
    const shared = { ...key, app: 'spark-two-fleets' }
    await own.claim(shared, claim, 10_000)
    await own.retire(shared.app, shared.address, 1)
    await eventually('the own fleet heard', () => told.here.length === 2)
    await passMs(50)
    expect(told).toEqual({ elsewhere: [], here: ['claimed', 'retired'] })
  })

  it('notices that it was emptied without losing a connection', async () => {
    const directory = await opened(server.url)
    await passMs(1_500)
    const before = directory.emptySinceMs
    server.cli('flushall')
    expect(await directory.lookup({ ...key, address: '127.64.3.3' })).toBeUndefined()
    expect(directory.emptySinceMs).toBeGreaterThan(before + 1_000)
  })
})

describe.skipIf(reason !== undefined)('when Redis fails', () => {
  it('is unavailable at once when Redis is killed, and rebuilt by renewals when it comes back empty', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    const directory = await opened(server.url)
    const told: DirectoryChange['is'][] = []
    directory.subscribe((change) => told.push(change.is))
    const lease = await directory.claim(key, claim, 15_000)
    await eventually('the hint of the claim came', () => told.includes('claimed'))
    await server.kill()
    await eventually('it is away', () => !directory.isReachable)
    const started = performance.now()
    await expect(directory.lookup(key)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(directory.claim(key, { ...claim, counter: 2 }, 1_000)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(performance.now() - started).toBeLessThan(900) // a command may take 1 s
    const startedAtMs = systemClock.now()
    await server.start()
    await eventually('it is back', () => directory.isReachable)
    expect(told).toEqual(['claimed', 'returned'])
    expect(directory.emptySinceMs).toBeGreaterThanOrEqual(startedAtMs)
    expect(await directory.lookup(key)).toBeUndefined()
    await directory.renew(key, lease, 15_000)
    expect(await directory.lookup(key)).toMatchObject({ ...claim, epoch: lease.epoch })
    const next = await directory.claim(key, { ...claim, counter: 2 }, 15_000)
    expect(next.epoch).toBeGreaterThan(lease.epoch)
  })

  it('is unavailable when a command takes more than a second, at once after that, and back when it goes on', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    const directory = await opened(server.url)
    server.hang()
    const started = performance.now()
    await expect(directory.lookup(key)).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - started).toBeLessThan(5_000)
    expect(directory.isReachable).toBe(false)
    const again = performance.now()
    await expect(directory.lookup(key)).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - again).toBeLessThan(900)
    server.goOn()
    await eventually('it is back', () => directory.isReachable)
    await directory.claim(key, claim, 1_000)
    const told: string[] = []
    directory.subscribe((change) => told.push(change.is))
    await eventually('hints come again', async () => {
      await directory.retire('spark-b', '127.64.0.2', 1)
      return told.includes('retired')
    })
  })

  it('notices a hung Redis without being asked', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    const directory = await opened(server.url)
    server.hang()
    await eventually('it is away', () => !directory.isReachable)
    server.goOn()
  })

  it('is closed in order between the word that Redis is back and the answer to its subscription', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    const asked = Promise.withResolvers<void>()
    let subscriptions = 0
    const proxy = createServer((client) => {
      const redis = connect(Number(new URL(server.url).port), '127.0.0.1')
      let isHeld = false
      client.on('data', (bytes) => {
        if (/subscribe/i.test(bytes.toString('latin1'))) subscriptions += 1
        isHeld ||= subscriptions === 2
        if (isHeld) asked.resolve()
        else redis.write(bytes)
      })
      redis.on('data', (bytes) => client.write(bytes))
      for (const [one, other] of [
        [client, redis],
        [redis, client],
      ] as const) {
        one.on('error', () => {}).on('close', () => other.destroy())
      }
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void proxy.close())
    await once(proxy, 'listening')
    const directory = await opened(`redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    server.cli('client', 'kill', 'type', 'pubsub')
    await asked.promise
    await directory.close()
    await passMs(200)
    expect(unhandled).toEqual([])
  })

  it('starts while Redis is away, and finds it', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    await server.kill()
    const target = parseRedisUrl(server.url) as RedisTarget
    const lines: object[] = []
    const telling = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const options = { target, clock: systemClock, log: telling, commandMs: 1_000 }
    const directory = await RedisDirectory.open(options, 200)
    onTestFinished(() => directory.close())
    expect(directory.isReachable).toBe(false)
    const where = `127.0.0.1:${server.port}`
    expect(lines).toMatchObject([{ redis: where, detail: `connect ECONNREFUSED ${where}` }])
    // Peers hear the sentence; where Redis is does not concern them.
    await expect(directory.claim(key, claim, 1_000)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.not.stringContaining('127.0.0.1'),
      cause: { message: `Redis: connect ECONNREFUSED ${where}` },
    })
    await server.start()
    await eventually('it is there', () => directory.isReachable)
    await directory.claim(key, claim, 1_000)
  })
})

describe.skipIf(reason !== undefined)('with TLS and a password', () => {
  it('gets in with the CA and the password, and is refused without either', async () => {
    const files = makeCertificates()
    onTestFinished(() => files.remove())
    const port = await freePort()
    const auth = ['-a', 'secret']
    const server = await RedisServer.start(tlsArgs(port, files, 'secret'), auth)
    onTestFinished(() => server.stop())
    const { readFileSync } = await import('node:fs')
    const tlsCa = readFileSync(files.caFile)
    const url = `rediss://localhost:${port}`
    const directory = await open(url, { tlsCa, password: 'secret' })
    expect(directory.isReachable).toBe(true)
    await directory.claim(key, claim, 1_000)
    await directory.close()
    const inUrl = await open(`rediss://:secret@localhost:${port}`, { tlsCa })
    expect(inUrl.isReachable).toBe(true)
    await inUrl.close()
    await expect(open(url, { tlsCa, password: 'wrong' })).rejects.toBeInstanceOf(RedisAccessError)
    await expect(open(url, { tlsCa })).rejects.toBeInstanceOf(RedisAccessError)
    const unknownCa = await open(url, { password: 'secret' })
    expect(unknownCa.isReachable).toBe(false)
    await unknownCa.close()
  })
})

describe.skipIf(reason !== undefined)('behind Sentinels', () => {
  it.each(['killed', 'hung'] as const)('follows to the replica when the master is %s', async (how) => {
    const group = await startSentinels()
    onTestFinished(() => group.stop())
    const directory = await opened(group.url)
    const lease = await directory.claim(key, claim, 30_000)
    if (how === 'killed') await group.servers[0]?.kill()
    else group.servers[0]?.hang()
    await eventually('it is away', () => !directory.isReachable)
    // How long Sentinels take to agree is theirs: on a full machine they have voted twice.
    await eventually('the replica has taken over', () => directory.isReachable, 60_000)
    await directory.renew(key, lease, 30_000)
    expect(await directory.lookup(key)).toMatchObject({ epoch: lease.epoch })
    const next = await directory.claim(key, { ...claim, counter: 2 }, 30_000)
    expect(next.epoch).toBeGreaterThan(lease.epoch)
  })
})

describe.skipIf(reason !== undefined)('on a Cluster', () => {
  it('keeps the contract on six nodes, and goes on when a master is killed', async () => {
    const cluster = await startCluster()
    onTestFinished(() => cluster.stop())
    const directory = await opened(cluster.url)
    const told: string[] = []
    directory.subscribe((change) => told.push(change.is))
    const keys = Array.from({ length: 60 }, (_, i): LeaseKey => ({ ...key, address: `127.64.2.${i}` }))
    const leases = await Promise.all(keys.map((each) => directory.claim(each, claim, 60_000)))
    await expect(directory.claim(keys[0] as LeaseKey, claim, 1_000)).rejects.toMatchObject({
      code: 'superseded',
    })
    await directory.retire(key.app, '127.64.2.1', 1)
    await eventually('hints came from all nodes', () => told.filter((is) => is === 'claimed').length === 60)
    await cluster.servers[0]?.kill()
    await eventually(
      'all leases can be renewed',
      async () => {
        const renewals = keys.map((each, i) => directory.renew(each, leases[i] as never, 60_000))
        const settled = await Promise.allSettled(renewals)
        return settled.every((one) => one.status === 'fulfilled' || one.reason.code === 'retired')
      },
      30_000,
    )
    // A beat that was asked while the cluster was down may fail only now, after the renewals: the next one mends it.
    await eventually('it is reachable', () => directory.isReachable)
    expect(await directory.lookup({ ...key, address: '127.64.9.9' })).toBeUndefined()
  })
})
