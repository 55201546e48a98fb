/** Any one process is killed: what it started ends, what can go on goes on, nothing is left behind. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { removeLeftOvers } from '../../driver-agent/run-dir.ts'
import { jobs, type Submitted, startSubmit } from './harness.ts'
import { descendants, type Kind, ofKind, survivors, until } from './processes.ts'

const GONE_WITHIN_MS = 10_000

let job: Submitted | undefined
afterEach(async () => {
  await job?.remove()
  job = undefined
})

const waiting = { version: '4.3.0', program: [join(jobs, 'waits.py'), '600'] } as const

describe('after SIGKILL', () => {
  it('of the agent, no process is left after 10 s and no file after the next start', async () => {
    job = await startSubmit(waiting)
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    expect(below.filter((one) => /KubernetesExecutorBackend/.test(one.command)).length).toBeGreaterThan(1)
    job.kill('SIGKILL')
    await until('nothing of it runs', () => survivors(below).length === 0, GONE_WITHIN_MS)
    await job.ended
    await removeLeftOvers(job.runBase)
    expect(readdirSync(job.runBase)).toEqual([])
  })

  it("of Spark's driver, submit ends with its code and nothing is left after 10 s", async () => {
    job = await startSubmit(waiting)
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    const killedAt = performance.now()
    for (const one of ofKind(job.pid, 'driver')) process.kill(one.pid, 'SIGKILL')
    expect(await job.ended).toBe(137)
    await until('nothing of it runs', () => survivors(below).length === 0, GONE_WITHIN_MS)
    expect((await job.endedAtMs) - killedAt).toBeLessThan(GONE_WITHIN_MS)
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 137 })
  })

  it.each<Kind>(['shim', 'executor'])(
    'of one %s, its function ends and another takes its place',
    async (kind) => {
      job = await startSubmit({ ...waiting, options: ['--log-level', 'debug', '--log-format', 'json'] })
      const { pid } = job
      await job.saw('counted 100000')
      const [victim] = ofKind(pid, kind)
      if (victim === undefined) throw new Error(`there is no ${kind}`)
      const mates = [victim, ...descendants(victim.pid)]
      const before = job.output.length
      const killedAt = Date.now()
      process.kill(victim.pid, 'SIGKILL')
      await until('the function is gone', () => survivors(mates).length === 0, GONE_WITHIN_MS)
      const posted = (): number | undefined => {
        const line = job?.output
          .slice(before)
          .split('\n')
          .find((each) => each.includes('"method":"POST"') && each.includes('/pods'))
        return line === undefined ? undefined : (JSON.parse(line) as { time: number }).time
      }
      await until('Spark has asked for another', () => posted() !== undefined, 10_000)
      expect((posted() as number) - killedAt).toBeLessThan(2_000)
      await until('two functions run again', () => ofKind(pid, 'executor').length === 2, 60_000)
    },
  )

  it('of the relay inside, it is started again and the job goes on', async () => {
    job = await startSubmit({
      version: '4.3.0',
      program: [join(jobs, 'reduce_twice.py'), '{result}', '{folder}'],
    })
    const { pid } = job
    await job.saw('reduced once')
    const old = ofKind(pid, 'relay')
    for (const one of old) process.kill(one.pid, 'SIGKILL')
    await until(
      'another relay runs',
      () => survivors(old).length === 0 && ofKind(pid, 'relay').length > 0,
      10_000,
    )
    writeFileSync(join(job.folder, 'go-on'), '')
    expect(await job.ended).toBe(0)
    expect(job.result()).toMatchObject({ same: true })
    expect(job.events().failedTasks.map((task) => task['Task End Reason'])).toEqual([])
  })
})

describe('an executor that dies with shuffle output', () => {
  it('costs a recomputation, not the job: Spark sees at once that the peer is gone', async () => {
    job = await startSubmit({
      version: '4.3.0',
      program: [join(jobs, 'reduce_twice.py'), '{result}', '{folder}'],
    })
    await job.saw('reduced once')
    const [victim] = ofKind(job.pid, 'shim')
    process.kill(victim?.pid as number, 'SIGKILL')
    writeFileSync(join(job.folder, 'go-on'), '')
    expect(await job.ended).toBe(0)
    const result = job.result() as { same: boolean; sum: number; seconds: number }
    expect(result).toMatchObject({ same: true, sum: (100_000 * 99_999) / 2 })
    // Three retries of 5 s each, or the 120 s of a connection that hangs, would be more.
    expect(result.seconds).toBeLessThan(30)
  })
})

describe('a signal to submit', () => {
  it.each([
    ['SIGTERM', undefined, 143],
    ['SIGINT', 'group', 130],
  ] as const)('%s ends everything in order', async (signal, to, code) => {
    job = await startSubmit({ ...waiting, ownGroup: true })
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    job.kill(signal, to)
    expect(await job.ended).toBe(code)
    expect(survivors(below)).toEqual([])
    const summary = job.summary()
    expect(summary).toMatchObject({ exitCode: code, relayRestarts: 0 })
    expect(summary.executors.map((executor) => executor.exitCode)).toEqual([0, 0])
    expect(readdirSync(job.runBase).filter((name) => name.startsWith('run-'))).toEqual([])
  })
})
