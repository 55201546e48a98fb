/** What goes wrong with real jobs: strangers at the door, dials to nobody, dead peers, full disks. */

import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { jobs, runSubmit, type Submitted, sparkVersions, startSubmit } from './harness.ts'
import { isRoot, machineWithSmallDisk, type OtherMachine } from './other-machines.ts'
import { ofKind, survivors, until } from './processes.ts'
import { asNobody, type Met, meet, meetingScript, wildcardPorts } from './strangers.ts'

let job: Submitted | undefined
let machine: OtherMachine | undefined
afterEach(async () => {
  await job?.remove()
  machine?.remove()
  job = undefined
  machine = undefined
})

describe('settings that point outside', () => {
  it('are named before the program runs, since executors reach nothing but the relay', async () => {
    job = await runSubmit({
      version: '4.3.0',
      conf: {
        'spark.hadoop.fs.s3a.endpoint': 'storage.example',
        'spark.sql.catalog.shop.url': 'jdbc:postgresql://db.example/shop',
        'spark.kafka.clusters.shop.auth.bootstrap.servers': 'kafka.example:9092',
      },
      // Whatever runs; this one needs no executors.
      program: [join(jobs, 'own_master.py'), '0'],
    })
    const { output } = job
    const counted = output.indexOf('counted 1000')
    expect(counted).toBeGreaterThan(0)
    for (const place of ['s3', 'jdbc', 'kafka']) {
      const warned = output.search(new RegExp(`^spark-lambda-relay: .* points to ${place},`, 'm'))
      expect(warned, output).toBeGreaterThanOrEqual(0)
      expect(warned).toBeLessThan(counted)
    }
  })
})

describe('strangers at a running job', () => {
  it.skipIf(!isRoot)('are closed at once and counted, whatever port they find', async () => {
    job = await startSubmit({
      version: '4.3.0',
      options: ['--log-level', 'warn', '--log-format', 'json'],
      conf: { 'spark.executor.instances': 1 },
      program: [join(jobs, 'waits.py'), '600'],
    })
    await job.saw('counted 100000', 240_000)
    const ports = wildcardPorts(job.pid)
    expect(ports).toHaveLength(3) // driver's RPC, driver's blocks, executors' blocks

    // Another user of this machine, at the driver and at the executor.
    const meetings = ports.flatMap((port) => [
      { host: '127.64.0.1', port },
      { host: '127.64.0.2', port },
    ])
    const others = (await asNobody(meetingScript(meetings))) as Met[]
    for (const [index, met] of others.entries()) {
      expect(met.outcome, JSON.stringify(meetings[index])).toBe('reset')
      expect(met.ms).toBeLessThan(500)
    }
    // What another machine would send arrives at an address that is not loopback.
    const outside = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')?.address
    if (outside !== undefined) {
      for (const port of ports) {
        const met = await meet(outside, port)
        expect(met.outcome).toBe('reset')
        expect(met.ms).toBeLessThan(500)
      }
    }
    const counts = [...job.output.matchAll(/"reason":"(user|remote)","count":(\d+)/g)]
    expect(counts.some(([, reason]) => reason === 'user')).toBe(true)
    expect(counts.some(([, reason]) => reason === 'remote')).toBe(outside !== undefined)

    // The doors that are no wildcard: the facade, and the relay's socket.
    const facade = /k8s:\/\/(http:\/\/127\.0\.0\.1:\d+)/.exec(
      ofKind(job.pid, 'driver')[0]?.command ?? '',
    )?.[1]
    const socket = / --listen unix:(\S+)/.exec(ofKind(job.pid, 'relay')[0]?.command ?? '')?.[1]
    expect(socket).toBeDefined()
    const doors = await asNobody(`
import { createConnection } from 'node:net'
const path = '${facade}/api/v1/namespaces/spark-lambda-relay/pods'
const asked = await fetch(path)
const dialled = await new Promise((resolve) => {
  createConnection('${socket}').once('connect', () => resolve('connected')).once('error', ({ code }) => resolve(code))
})
console.log(JSON.stringify({ facade: asked.status, socket: dialled }))`)
    expect(doors).toEqual({ facade: 401, socket: 'EACCES' })
  })
})

describe('a dial to nobody', () => {
  it('is reset at once: a port that the peer does not serve, an address without function, a dead executor', async () => {
    job = await startSubmit({
      version: '4.3.0',
      conf: { 'spark.executor.instances': 1 },
      program: [join(jobs, 'waits.py'), '600'],
    })
    const { pid } = job
    await job.saw('counted 100000', 240_000)
    const [executor] = ofKind(pid, 'executor')
    const rpc = Number(/@127\.64\.0\.1:(\d+)/.exec(executor?.command ?? '')?.[1])
    const meetings: [string, number, RegExp][] = []
    for (const port of wildcardPorts(pid)) {
      // The executor serves one port, its blocks; the RPC port is the driver's alone.
      if (port === rpc) meetings.push(['127.64.0.2', port, /reset/])
      meetings.push(['127.64.9.9', port, /reset/])
    }
    for (const [host, port, outcome] of meetings) {
      const met = await meet(host, port)
      expect(met.outcome, `${host}:${port}`).toMatch(outcome)
      expect(met.ms, `${host}:${port}`).toBeLessThan(1_000)
    }
    const shims = ofKind(pid, 'shim')
    for (const shim of shims) process.kill(shim.pid, 'SIGKILL')
    await until('the executor is gone', () => survivors(shims).length === 0, 10_000)
    for (const port of wildcardPorts(pid)) {
      const met = await meet('127.64.0.2', port)
      expect(met.outcome).toBe('reset')
      expect(met.ms).toBeLessThan(2_000)
    }
  })
})

describe.each(sparkVersions)('Spark %s, when a peer dies while its blocks are fetched', (version) => {
  it.each([true, false])('recovers within seconds, with authentication %s', async (authenticate) => {
    job = await startSubmit({
      version,
      conf: {
        'spark.executor.instances': 3,
        'spark.authenticate': authenticate,
        'spark.network.crypto.enabled': authenticate,
        // A block at a time, so that most are still to be fetched when the peer dies.
        'spark.reducer.maxSizeInFlight': '1m',
      },
      program: [join(jobs, 'slow_fetch.py'), '{result}'],
    })
    const { pid } = job
    await job.saw('fetching', 240_000)
    await new Promise((resolve) => setTimeout(resolve, 1_000)) // some blocks are fetched, most are not
    const [victim] = ofKind(pid, 'shim')
    if (victim === undefined) throw new Error(`no shim runs below ${pid}:\n${job.output.slice(-5_000)}`)
    process.kill(victim.pid, 'SIGKILL')
    expect(await job.ended, job.output.slice(-3_000)).toBe(0)
    const result = job.result() as { right: boolean; pieces: number; seconds: number }
    expect(result).toMatchObject({ right: true, pieces: 180 })
    const reasons = job.events().failedTasks.map((task) => task['Task End Reason'].Reason)
    expect(new Set(reasons)).toEqual(new Set(['FetchFailed', 'ExecutorLostFailure']))
    // The maps that the dead one had run are run again, by an attempt of their stage.
    expect(job.events().stages.some((stage) => stage['Stage Info']['Stage Attempt ID'] > 0)).toBe(true)
    // Undisturbed it takes some 12 s. Spark's default of 3 tries at 5 s apart, for each block, would be far more.
    expect(result.seconds).toBeLessThan(60)
  })
})

describe('a work folder that is full', () => {
  it('is named as the cause in the driver’s log', async () => {
    machine = machineWithSmallDisk(64)
    job = await runSubmit(
      {
        version: '4.3.0',
        env: machine.env,
        conf: { 'spark.task.maxFailures': 1 },
        program: [join(jobs, 'fills_disk.py'), '240'],
      },
      1,
    )
    expect(job.output).toMatch(/No space left on device/)
    expect(job.output).toMatch(/the work folder of \S+ is full \(.*64.*\): give functions a larger disk/)
    expect(job.summary()).toMatchObject({ endedBy: 'spark', exitCode: 1 })
  })
})
