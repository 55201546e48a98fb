/** A job's event log, read back by Spark's history server as an operator would. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { runSubmit, type Submitted, sparkHomeOf, sparkVersions } from './harness.ts'
import { type HistoryServer, startHistoryServer } from './history-server.ts'
import { rightSums, sumsFound, sumsProgram } from './sums.ts'

let job: Submitted | undefined
let server: HistoryServer | undefined
afterEach(async () => {
  await server?.stop()
  await job?.remove()
  server = undefined
  job = undefined
})

const applications = z.array(
  z.object({ id: z.string(), name: z.string(), attempts: z.array(z.object({ completed: z.boolean() })) }),
)
const executors = z.array(
  z.object({
    id: z.string(),
    hostPort: z.string(),
    completedTasks: z.number(),
    failedTasks: z.number(),
    totalShuffleRead: z.number(),
    totalShuffleWrite: z.number(),
    executorLogs: z.record(z.string(), z.string()),
  }),
)
const stages = z.array(
  z.object({ status: z.string(), numCompleteTasks: z.number(), shuffleWriteBytes: z.number() }),
)

describe.each(sparkVersions)('the event log of Spark %s', (version) => {
  it('is read back by a history server: the application, its executors, its stages', async () => {
    job = await runSubmit({ version, program: sumsProgram })
    const found = sumsFound.parse(job.result())
    expect(found).toMatchObject(rightSums)
    server = await startHistoryServer(sparkHomeOf(version), join(job.folder, 'events'))
    const { url } = server
    const ask = async (path: string): Promise<unknown> => {
      const response = await fetch(`${url}/api/v1/${path}`)
      expect(response.status, path).toBe(200)
      return response.json()
    }

    await expect
      .poll(async () => applications.parse(await ask('applications')), { timeout: 30_000, interval: 500 })
      .toMatchObject([{ id: found.app, name: 'sums', attempts: [{ completed: true }] }])

    const all = executors.parse(await ask(`applications/${found.app}/allexecutors`))
    expect(all.map(({ id }) => id).sort()).toEqual(['1', '2', 'driver'])
    const driver = all.find(({ id }) => id === 'driver')
    expect(driver?.hostPort).toMatch(/^127\.64\.0\.1:\d+$/)
    for (const executor of all.filter(({ id }) => id !== 'driver')) {
      expect(executor.hostPort).toMatch(/^127\.64\.0\.[23]:\d+$/)
      expect(executor.completedTasks).toBeGreaterThan(0)
      expect(executor.failedTasks).toBe(0)
      expect(executor.totalShuffleRead).toBeGreaterThan(0)
      expect(executor.totalShuffleWrite).toBeGreaterThan(0)
      expect(Object.values(executor.executorLogs).join()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//)
    }

    const ran = stages.parse(await ask(`applications/${found.app}/stages`))
    expect(ran.filter(({ status }) => status === 'COMPLETE').length).toBeGreaterThanOrEqual(4)
    expect(ran.filter(({ status }) => status !== 'COMPLETE' && status !== 'SKIPPED')).toEqual([])
    expect(ran.reduce((sum, stage) => sum + stage.shuffleWriteBytes, 0)).toBeGreaterThan(100_000)
  })
})
