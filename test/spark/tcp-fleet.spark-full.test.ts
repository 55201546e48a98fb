/**
 * Executors that have no network, and relays that know each other by TCP addresses: whoever is sent
 * from one to the other gets there by a socket of the agent's, in Spark as in detours.slow.test.ts.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { Fleet, realTimes } from '../faults/fleet.ts'
import { RedisServer, whyNoRedis } from '../helper/redis.ts'
import { type Submitted, startSubmit } from './harness.ts'
import { rightSums, sumsFound, sumsProgram } from './sums.ts'

let redis: RedisServer | undefined
let fleet: Fleet | undefined
let job: Submitted | undefined
afterEach(async () => {
  await job?.remove()
  await fleet?.stop()
  await redis?.stop()
})

describe.skipIf(whyNoRedis() !== undefined)('a job over two relays on TCP and a Redis', () => {
  it('has functions at home on both, which meet, and ends right', async () => {
    const server = await RedisServer.start()
    redis = server
    fleet = await Fleet.start({
      relays: 2,
      times: realTimes,
      redis: () => `redis://127.0.0.1:${server.port}`,
    })
    job = await startSubmit({
      version: '4.3.0',
      options: [
        ...fleet.urls.flatMap((url) => ['--relay', url]),
        ...['--secret-file', fleet.secretFile, '--max-executors', '4'],
      ],
      conf: {
        'spark.executor.instances': 4,
        'spark.scheduler.minRegisteredResourcesRatio': 1,
        'spark.scheduler.maxRegisteredResourcesWaitingTime': '120s',
      },
      program: sumsProgram,
    })
    expect(await job.ended).toBe(0)
    expect(sumsFound.parse(job.result())).toMatchObject(rightSums)
    for (const relay of fleet.relays) {
      const scrape = await relay.scrape()
      expect(scrape.get('slr_relay_forwarded_bytes_total')).toBeGreaterThan(0)
    }
    expect((await fleet.totals()).get('slr_relay_redirects_total')).toBeGreaterThan(0)
  })
})
