/** What submit says and does when a job is not what it seems, or takes too long. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { jobs, runSubmit, type Submitted, sparkVersions, startSubmit } from './harness.ts'
import { descendants, survivors } from './processes.ts'

let job: Submitted | undefined
afterEach(async () => {
  await job?.remove()
  job = undefined
})

describe('a program that sets its own master', () => {
  it('runs, and is told that no function was started', async () => {
    job = await runSubmit({
      version: '4.3.0',
      options: ['--first-call', '5s'],
      program: [join(jobs, 'own_master.py'), '8'],
    })
    expect(job.output).toContain('counted 1000')
    expect(job.output).toMatch(
      /^spark-lambda-relay: 5 s have passed and no function was started: .*set its own master/m,
    )
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 0, functionsStarted: 0 })
    expect(job.summary().reason).toMatch(/own master/)
  })
})

describe.each(sparkVersions)('a program that fails, on Spark %s', (version) => {
  it("ends submit with Spark's own exit code", async () => {
    job = await runSubmit(
      { version, conf: { 'spark.executor.instances': 1 }, program: [join(jobs, 'fails.py'), '3'] },
      3,
    )
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 3 })
  })
})

describe('--start-deadline', () => {
  it('fails executors that never reach the driver, with the last lines of their JVM, and ends the job', async () => {
    job = await runSubmit(
      {
        version: '4.3.0',
        options: ['--start-deadline', '5s'],
        conf: {
          'spark.executor.instances': 1,
          // Waits for a debugger before it runs anything.
          'spark.executor.extraJavaOptions':
            '-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=5005',
        },
        program: [join(jobs, 'fails.py'), '0'],
      },
      1,
    )
    const { endedBy, reason, functionsStarted } = job.summary()
    expect(endedBy).toBe('agent')
    expect(reason).toMatch(/its executor did not reach the driver within 5 s \(its JVM runs/)
    expect(reason).toMatch(/its last lines:\n(.*\n)*.*Listening for transport dt_socket at address: 5005/)
    expect(functionsStarted).toBe(3)
  })
})

describe('--max-wall', () => {
  it('ends the job, its functions and all else', async () => {
    job = await startSubmit({
      version: '3.5.7',
      options: ['--max-wall', '90s'],
      conf: { 'spark.executor.instances': 1 },
      program: [join(jobs, 'waits.py'), '600'],
    })
    await job.saw('counted 100000', 89_000)
    const below = descendants(job.pid)
    expect(await job.ended).toBe(1)
    expect(survivors(below)).toEqual([])
    expect(job.summary()).toMatchObject({
      endedBy: 'agent',
      exitCode: 1,
      reason: 'the job took longer than --max-wall 90s and was ended',
    })
  })
})

describe('--max-executors', () => {
  it('leaves executors over it waiting, and the job runs on fewer', async () => {
    job = await runSubmit({
      version: '3.5.7',
      options: ['--max-executors', '1'],
      conf: { 'spark.executor.instances': 3, 'spark.scheduler.minRegisteredResourcesRatio': 0 },
      program: [join(jobs, 'fails.py'), '0'],
    })
    expect(job.output).toContain('counted 1000')
    expect(job.summary().functionsStarted).toBe(1)
  })
})
