/**
 * With the settings table's own defaults, no function is left two minutes after the work, though
 * the session stays open and holds shuffles and a cached table; and the same query gives the same
 * answer after its shuffle files were cleaned up.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { type Submitted, sparkVersions, startSubmit } from '../../spark/harness.ts'
import { ofKind, until } from '../../spark/processes.ts'

let job: Submitted | undefined
afterEach(async () => {
  await job?.remove()
  job = undefined
})

it.each(sparkVersions)('Spark %s: no function is left two minutes after the work', async (version) => {
  job = await startSubmit({
    version,
    conf: { 'spark.dynamicAllocation.enabled': true, 'spark.dynamicAllocation.maxExecutors': 2 },
    program: [fileURLToPath(new URL('python/idle.py', import.meta.url)), '{result}', '{folder}'],
  })
  await job.saw('idle: waiting')
  expect(job.result()).toEqual({
    rows: 100_000,
    same: true,
    sum: (100_000 * 99_999) / 2,
    rdd: Array.from({ length: 10 }, (_, key) => [key, 100 * key + 49_500]),
  })
  const { pid } = job
  expect(ofKind(pid, 'shim').length).toBeGreaterThan(0)
  const since = performance.now()
  await until('no function is left', () => ofKind(pid, 'shim').length === 0, 120_000)
  const seconds = Math.round((performance.now() - since) / 1000)
  console.log(`Spark ${version}: the last function ended ${seconds} s after the work`)
  writeFileSync(join(job.folder, 'go-on'), '')
  expect(await job.ended).toBe(0)
  expect(job.events().failedTasks).toEqual([])
})
