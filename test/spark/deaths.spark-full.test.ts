/** Any one process is killed: what it started ends, what can go on goes on, nothing is left behind. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { jobs, runSubmit, type Submitted, startSubmit } from './harness.ts'
import { descendants, type Kind, ofKind, survivors, until } from './processes.ts'

const GONE_WITHIN_MS = 10_000

let job: Submitted | undefined
/** Where jobs of one test keep what is private, and what is large: two places, as on most machines. */
let places: { readonly folder: string; readonly env: Readonly<Record<string, string>> }
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'slr-deaths-'))
  const env = { XDG_RUNTIME_DIR: join(folder, 'run'), TMPDIR: join(folder, 'tmp') }
  for (const place of Object.values(env)) mkdirSync(place)
  places = { folder, env }
})
afterEach(async () => {
  await job?.remove()
  job = undefined
  rmSync(places.folder, { recursive: true, force: true })
})

const waits = { version: '4.3.0', program: [join(jobs, 'waits.py'), '600'] } as const
const start = (spec: Parameters<typeof startSubmit>[0]) => startSubmit({ ...spec, env: places.env })

/** Folders of runs, of functions and of logs, in both places. */
function folders(): readonly string[] {
  const { XDG_RUNTIME_DIR = '', TMPDIR = '' } = places.env
  const bases = [
    XDG_RUNTIME_DIR,
    join(XDG_RUNTIME_DIR, 'spark-lambda-relay'),
    TMPDIR,
    join(TMPDIR, `spark-lambda-relay-${process.getuid?.()}`),
  ]
  return bases
    .filter((base) => existsSync(base))
    .flatMap((base) => readdirSync(base).map((name) => join(base, name)))
    .filter((path) => /\/(run|local|logs)-[^/]*$/.test(path))
}

/** Ends the job if it still runs, and starts another: of the first, only logs that it told of may be left. */
async function expectNothingLeft(of: Submitted): Promise<void> {
  of.kill('SIGTERM')
  await of.ended
  const next = await runSubmit({
    version: '4.3.0',
    conf: { 'spark.executor.instances': 1 },
    program: [join(jobs, 'fails.py'), '0'],
    env: places.env,
  })
  await next.remove()
  const toldOf = [...of.output.matchAll(/^spark-lambda-relay: logs of the executors: (.*)$/gm)]
  expect(folders()).toEqual(toldOf.map(([, path]) => path))
}

describe('after SIGKILL', () => {
  it('of the agent, no process is left after 10 s and no file after the next start', async () => {
    job = await start(waits)
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    expect(below.filter((one) => /KubernetesExecutorBackend/.test(one.command)).length).toBeGreaterThan(1)
    job.kill('SIGKILL')
    await until('nothing of it runs', () => survivors(below).length === 0, GONE_WITHIN_MS)
    // Its guardian removes what it may; the functions' folders, which may be large, are the next start's.
    expect(folders().some((path) => path.includes('/local-'))).toBe(true)
    await expectNothingLeft(job)
  })

  it("of Spark's driver, submit ends with its code and nothing is left after 10 s", async () => {
    job = await start(waits)
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    const killedAt = performance.now()
    for (const one of ofKind(job.pid, 'driver')) process.kill(one.pid, 'SIGKILL')
    expect(await job.ended).toBe(137)
    await until('nothing of it runs', () => survivors(below).length === 0, GONE_WITHIN_MS)
    expect((await job.endedAtMs) - killedAt).toBeLessThan(GONE_WITHIN_MS)
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 137 })
    await expectNothingLeft(job)
  })

  it.each<Kind>(['shim', 'executor'])(
    'of one %s, its function ends and another takes its place',
    async (kind) => {
      job = await start({ ...waits, options: ['--log-level', 'debug', '--log-format', 'json'] })
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
      await expectNothingLeft(job)
    },
  )

  it('of the relay inside, it is started again and the job goes on', async () => {
    job = await start({
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
    await expectNothingLeft(job)
  })
})

describe('an executor that dies with shuffle output', () => {
  it('costs a recomputation, not the job: Spark sees at once that the peer is gone', async () => {
    job = await start({
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
  it.each<[what: string, code: number, terminal: boolean, send: (to: Submitted) => void]>([
    ['SIGTERM to it alone', 143, false, (to) => to.kill('SIGTERM')],
    ['SIGINT to its process group', 130, false, (to) => to.kill('SIGINT', 'group')],
    ['Ctrl-C on its terminal', 130, true, (to) => to.type('\x03')],
  ])('%s ends everything in order, with %i', async (_what, code, terminal, send) => {
    job = await start({ ...waits, ownGroup: true, terminal })
    await job.saw('counted 100000')
    const below = descendants(job.pid)
    send(job)
    expect(await job.ended).toBe(code)
    expect(survivors(below)).toEqual([])
    const summary = job.summary()
    expect(summary).toMatchObject({ exitCode: code, relayRestarts: 0 })
    expect(summary.executors.map((executor) => executor.exitCode)).toEqual([0, 0])
    expect(folders().filter((path) => !path.includes('/logs-'))).toEqual([])
  })
})
