/** Three short jobs: executors come and go, the program fails, executors cannot start. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { jobs, runSubmit, type Submitted, startSubmit } from './harness.ts'
import { ofKind, until } from './processes.ts'

let job: Submitted | undefined
afterEach(async () => {
  await job?.remove()
  job = undefined
})

describe('dynamic allocation', () => {
  it('goes from no executor to several and back to none, and again', async () => {
    job = await startSubmit({
      version: '4.3.0',
      conf: {
        'spark.dynamicAllocation.enabled': true,
        'spark.dynamicAllocation.minExecutors': 0,
        'spark.dynamicAllocation.initialExecutors': 0,
        'spark.dynamicAllocation.maxExecutors': 2,
        'spark.dynamicAllocation.executorIdleTimeout': '4s',
        'spark.dynamicAllocation.shuffleTracking.timeout': '5s',
      },
      program: [join(jobs, 'scale.py'), '{result}', '{folder}'],
    })
    await job.saw('scale: waiting')
    const { pid } = job
    await until('no function is left', () => ofKind(pid, 'shim').length === 0, 60_000)
    writeFileSync(join(job.folder, 'go-on'), '')
    expect(await job.ended).toBe(0)
    const answer = [100, (100_000 * 99_999) / 2]
    expect(job.result()).toEqual([answer, answer])
    const summary = job.summary()
    expect(summary.functionsStarted).toBeGreaterThanOrEqual(3)
    expect(job.events().failedTasks).toEqual([])
  })
})

describe('a program that fails', () => {
  it("ends submit with Spark's own exit code", async () => {
    job = await runSubmit(
      { version: '3.5.7', conf: { 'spark.executor.instances': 1 }, program: [join(jobs, 'fails.py'), '7'] },
      7,
    )
    expect(job.output).toContain('counted 1000')
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 7 })
  })
})

describe('a JVM that dies at its start', () => {
  it('ends the job with its last words after a few attempts', async () => {
    job = await runSubmit(
      {
        version: '4.3.0',
        conf: { 'spark.executor.extraJavaOptions': '-javaagent:/no/such-agent.jar' },
        program: [join(jobs, 'fails.py'), '0'],
      },
      1,
    )
    const summary = job.summary()
    expect(summary.endedBy).toBe('agent')
    expect(summary.reason).toMatch(/no\/such-agent\.jar/)
    // min(20, max(3, 2 × 2 instances))
    expect(summary.functionsStarted).toBeLessThanOrEqual(4)
    expect(job.output).toMatch(/^spark-lambda-relay: .*such-agent/m)
  })
})
