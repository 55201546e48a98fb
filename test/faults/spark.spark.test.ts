/**
 * One long Spark application through a kill, a rolling replacement of all relays and a link that
 * goes silent, one after the other. Stalls are those of checked streams over the same relays.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { SparkWorld } from './spark-world.ts'
import { wait } from './world.ts'

let world: SparkWorld | undefined
afterEach(async () => {
  await world?.end()
  world = undefined
})

describe('a Spark job with six executors, three relays and Redis', () => {
  it('sees neither a killed relay, nor all replaced in turn, nor a silent link', async () => {
    world = await SparkWorld.start('4.3.0')
    const { fleet, crowd, proxies } = world
    const longest = async (): Promise<number> => Math.round((await crowd.stalls()).at(-1) ?? 0)
    const stalls: Record<string, number> = {}

    // Seven JVMs on a small machine make everybody wait now and then, without any fault.
    crowd.mark()
    await wait(10_000)
    stalls['no fault'] = await longest()

    crowd.mark()
    const first = fleet.relayAt(crowd.party(0).homeOf('bulk'))
    await first.kill()
    await Promise.all([world.roundsMore(1), wait(8_000)])
    stalls.kill = await longest()
    await first.start()
    await wait(2_000)

    crowd.mark()
    for (const relay of fleet.relays) {
      const { code, tookMs } = await relay.leave()
      expect(code).toBe(0)
      expect(tookMs).toBeLessThan(10_000)
      await relay.start()
      await wait(2_000)
    }
    await world.roundsMore(1)
    stalls.rolling = await longest()

    crowd.mark()
    const victims = ['127.64.0.3', crowd.party(2).address] // an executor, and one whose stalls are measured
    for (const proxy of proxies)
      for (const victim of victims) for (const link of proxy.linksOf(victim)) link.silence('both')
    await Promise.all([world.roundsMore(1), wait(fleet.times.silenceMs + 4_000)])
    stalls.silent = await longest()

    crowd.mark()
    await wait(10_000)
    stalls['no fault at the end'] = await longest()

    const outcome = await world.finish()
    console.info(JSON.stringify({ stalls, ...outcome }))
    expect(outcome.exitCode).toBe(0)
    expect(outcome.wrongAnswers).toBe(0)
    expect(outcome.rounds).toBeGreaterThanOrEqual(4)
    expect(outcome.failures).toMatchObject({
      failedTasks: 0,
      fetchFailures: 0,
      repeatedStages: 0,
      executorsAdded: 6,
    })
    expect(outcome.streams.faults).toEqual([])
    const busy = Math.max(stalls['no fault'], stalls['no fault at the end'])
    expect(stalls.kill).toBeLessThanOrEqual(5_000 + busy)
    expect(stalls.rolling).toBeLessThanOrEqual(1_000 + busy)
    expect(stalls.silent).toBeLessThanOrEqual(fleet.times.silenceMs + 2_000 + busy)
  })
})
