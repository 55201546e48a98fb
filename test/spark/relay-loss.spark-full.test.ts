/** A relay that dies while Spark shuffles: back after 10 s, back at once, or never. */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { jobs, type Submitted, sparkVersions, startSubmit } from './harness.ts'
import { type OwnRelay, ownRelay } from './own-relay.ts'
import { ofKind, until } from './processes.ts'

const ROUNDS = 4
const ROWS = 600_000
const AWAY_MS = 10_000

let job: Submitted | undefined
let relay: OwnRelay | undefined
afterEach(async () => {
  await job?.remove()
  await relay?.remove()
  job = undefined
  relay = undefined
})

/** What jobs/rounds.py must answer. */
function answers(): [number, number, string][] {
  return Array.from({ length: ROUNDS }, (_, round) => {
    let filling = ''
    for (let id = 0; id < ROWS; id += 1) {
      const one = createHash('sha512')
        .update(String(id + round))
        .digest('hex')
      if (one > filling) filling = one
    }
    return [1000, (ROWS * (ROWS - 1)) / 2, filling]
  })
}

const program = [join(jobs, 'rounds.py'), '{result}', String(ROUNDS), String(ROWS)]

function expectNothingLost(ended: Submitted): void {
  expect(ended.result()).toEqual(answers())
  const events = ended.events()
  expect(events.failedTasks.map((task) => task['Task End Reason'].Reason)).toEqual([])
  expect(events.stages.filter((stage) => stage['Stage Info']['Stage Attempt ID'] > 0)).toEqual([])
  expect(events.executorsRemoved.filter((event) => !/shut|stop/i.test(event['Removed Reason']))).toEqual([])
  expect(ended.summary().resumes).toBeGreaterThan(0)
}

describe.each(sparkVersions)('Spark %s, when the relay is killed in mid-shuffle', (version) => {
  it('gives the right answer without a failed task when the relay is back after 10 s', async () => {
    relay = ownRelay()
    await relay.start()
    job = await startSubmit({
      version,
      options: ['--relay', relay.url, '--secret-file', relay.secretFile],
      program,
    })
    await job.saw('round 1')
    await new Promise((resolve) => setTimeout(resolve, 1_500)) // into the round, not to its first byte
    await relay.kill()
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS))
    await relay.start()
    expect(await job.ended).toBe(0)
    expectNothingLost(job)
  })

  it('gives the right answer without a failed task when the relay inside is killed', async () => {
    job = await startSubmit({ version, program })
    const { pid } = job
    await job.saw('round 1')
    const killed = ofKind(pid, 'relay').map((one) => one.pid)
    expect(killed.length).toBeGreaterThan(0)
    for (const one of killed) process.kill(one, 'SIGKILL')
    expect(await job.ended).toBe(0)
    expectNothingLost(job)
    expect(job.summary().relayRestarts).toBeGreaterThan(0)
  })
})

describe('a relay inside that cannot be started again', () => {
  it('ends the job with a clear error within 60 s', async () => {
    job = await startSubmit({ version: '4.3.0', program })
    const { pid } = job
    await job.saw('round 1')
    const [relayProcess] = ofKind(pid, 'relay')
    const secretFile = /--secret-file (\S+)/.exec(relayProcess?.command ?? '')?.[1]
    rmSync(secretFile as string)
    const killedAt = performance.now()
    for (const one of ofKind(pid, 'relay')) process.kill(one.pid, 'SIGKILL')
    await job.saw(/^spark-lambda-relay: the relay died and could not be started again/m, 60_000)
    expect(performance.now() - killedAt).toBeLessThan(60_000)
    expect(await job.ended).toBe(1)
    expect((await job.endedAtMs) - killedAt).toBeLessThan(75_000)
    expect(job.summary()).toMatchObject({ endedBy: 'agent', exitCode: 1 })
    await until('no process is left', () => ofKind(pid, 'shim').length === 0, 10_000)
  })
})
