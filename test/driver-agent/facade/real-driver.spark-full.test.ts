/**
 * What real drivers make of what the facade tells them: SPARK.md, "Life and death of a pod".
 * The driver is Spark, started with the settings table; its executors are only told of, since
 * what is looked at is which pods it posts and deletes. Whole jobs are in test/spark/.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { pickFreePorts } from '../../../driver-agent/free-ports.ts'
import type { PodObject } from '../../../driver-agent/pods/index.ts'
import { findPython } from '../../../driver-agent/python.ts'
import { applySettings } from '../../../driver-agent/settings/index.ts'
import { type FacadeWorld, startFacadeWorld, TOKEN } from '../../helper/facade.ts'
import { exitedWord } from '../../helper/pods.ts'
// Writes the calls down when RECORD_CALLS names a file; see test/fixture/recordings/README.md.
import '../../helper/record-calls.ts'
import { type SparkVersion, sparkHomeOf, sparkVersions } from '../../spark/harness.ts'
import { folderWith } from '../settings/fixture.ts'

interface DriverWorld extends FacadeWorld {
  /** Settles with the newest pods when so many have been posted; rejects after `withinMs`. */
  posted(count: number, withinMs: number): Promise<PodObject[]>
  /** Breaks every connection between Spark and the facade, and lets none through until resumed. */
  cut(): void
  resume(): void
  /** Starts a job that never ends, or cancels it. */
  order(order: 'work' | 'cancel'): void
  /** Spark stops its context; settles with the exit code. */
  stop(): Promise<number>
  output(): string
}

async function until(
  what: string,
  condition: () => boolean,
  withinMs: number,
  output: () => string,
): Promise<number> {
  const since = performance.now()
  while (!condition()) {
    if (performance.now() - since > withinMs)
      throw new Error(`${what}: not within ${withinMs} ms\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return performance.now() - since
}

/** A wire that can be cut, between Spark and the facade. */
async function startWire(targetPort: number) {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    resume: () => {
      isCut = false
    },
  }
}

async function startDriver(version: SparkVersion, conf: Record<string, string>): Promise<DriverWorld> {
  const world = await startFacadeWorld({ maxExecutors: 50, instances: 10, wallMs: Date.now })
  const wire = await startWire(world.facade.port)
  const folder = folderWith({ token: TOKEN })
  const sparkHome = sparkHomeOf(version)
  const [driverRpc, driverBlocks, executorBlocks, uiPort] = (await pickFreePorts(4)) as [
    number,
    number,
    number,
    number,
  ]
  const settings = applySettings({
    args: [
      ...Object.entries(conf).flatMap(([key, value]) => ['--conf', `${key}=${value}`]),
      // No executor ever registers here: do not wait for any.
      ...['--conf', 'spark.scheduler.maxRegisteredResourcesWaitingTime=0s', '--driver-memory', '600m'],
      new URL('python/driver.py', import.meta.url).pathname,
      join(folder, 'orders'),
    ],
    env: process.env,
    sparkHome,
    sparkVersion: version,
    facadeUrl: `http://127.0.0.1:${wire.port}`,
    tokenFile: join(folder, 'token'),
    propertiesFile: join(folder, 'conf', 'spark-defaults.conf'),
    namespace: 'spark',
    driverAddress: '127.64.0.1',
    bindAddress: '[::1]',
    ports: { driverRpc, driverBlocks, executorBlocks },
    uiPort,
    maxExecutors: 50,
    functionDiskBytes: 10_000_000_000,
    egress: 'none',
  })
  expect(settings.warnings).toEqual([])
  mkdirSync(join(folder, 'conf'))
  mkdirSync(join(folder, 'orders'))
  writeFileSync(join(folder, 'conf', 'spark-defaults.conf'), settings.properties, { mode: 0o600 })
  const python = (await findPython(version, process.env)).program
  const env: NodeJS.ProcessEnv = { ...process.env, SPARK_HOME: sparkHome, PYSPARK_PYTHON: python }
  for (const [name, value] of Object.entries(settings.env)) {
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  // A group of its own: spark-submit is a shell that starts others.
  const child = spawn(join(sparkHome, 'bin', 'spark-submit'), settings.args, {
    env,
    detached: true,
    cwd: folder,
  })
  const exited = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 128)))
  child.stdin.end()
  onTestFinished(() => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // Ended already.
    }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      output += `${line}\n`
    })
  }
  await until(
    'the driver is ready',
    () => output.includes('ready\n'),
    90_000,
    () => output,
  )
  return {
    ...world,
    cut: wire.cut,
    resume: wire.resume,
    output: () => output,
    posted: async (count, withinMs) => {
      await until(
        `${count} pods`,
        () => world.asked.started.length >= count,
        withinMs,
        () => output,
      )
      return world.asked.started.flatMap(({ pod }) => world.pods.get(pod.name) ?? [])
    },
    order: (order) => writeFileSync(join(folder, 'orders', order), ''),
    stop: async () => {
      writeFileSync(join(folder, 'orders', 'stop'), '')
      return exited
    },
  }
}

describe.each(sparkVersions)('the driver of Spark %s', (version) => {
  it('starts with our settings, replaces what is gone or draining, and leaves in order', async () => {
    const world = await startDriver(version, { 'spark.executor.instances': '10' })
    const first = await world.posted(10, 30_000)
    expect(first.every(({ metadata }) => metadata.labels['spark-version'] === version)).toBe(true)
    for (const pod of first) world.run(pod)
    const [gone, failed, draining] = first as [PodObject, PodObject, PodObject]

    // Gone: a new POST within 2 s, and no DELETE of what is gone already.
    world.end(gone, { why: 'crashed', detail: 'by the test' })
    await world.posted(11, 2_000)

    // Failed: counted, deleted, replaced. (The reason is in the pod; Spark shows it of executors that had registered.)
    world.say(failed, exitedWord(52))
    await world.posted(12, 5_000)
    const { output } = world
    await until('1 new failed executors', () => /1 new failed executors/.test(output()), 10_000, output)
    await until('Failed is deleted', () => world.pods.get(failed.metadata.name) === undefined, 10_000, output)

    // Terminating: a replacement while the old one works on.
    world.pods.drain(draining.metadata.uid, 'by the test')
    await world.posted(13, 2_000)
    expect(world.pods.get(draining.metadata.name)?.status.phase).toBe('Terminating')
    world.say(draining, exitedWord(0))

    // All connections cut, also the watch's, while the rest end: Spark hears of every one of them.
    for (const pod of await world.posted(13, 1_000)) {
      if (pod.status.phase === 'Pending') world.run(pod)
    }
    const rest = await world.posted(13, 1_000)
    expect(rest).toHaveLength(10)
    world.cut()
    for (const pod of rest) world.end(pod, { why: 'crashed', detail: 'while the watch was cut' })
    world.resume()
    await world.posted(23, 15_000)

    expect(world.facade.callsSeen().unauthorised).toBe(0)
    for (const { pod, uid } of world.asked.started.slice(13)) {
      expect(world.pods.uidOf(world.startOf(world.pods.get(pod.name) as PodObject).address)).toBe(uid)
    }
    const stopping = world.stop()
    await until('all are stopped', () => world.pods.counts().stopping >= 10, 30_000, output)
    for (const { uid } of world.asked.started)
      world.pods.handleFunctionEnd(uid, { why: 'stopped', detail: '' })
    expect(await stopping).toBe(0)
    expect(output()).not.toMatch(/Exception while|ERROR .*[Kk]ubernetes/)
  })

  it('trims surplus pods that are Pending, and no other', async () => {
    const world = await startDriver(version, {
      'spark.dynamicAllocation.executorIdleTimeout': '3s',
      'spark.dynamicAllocation.schedulerBacklogTimeout': '1s',
    })
    world.order('work')
    const pods = await world.posted(6, 30_000)
    const [running, ...pending] = pods as [PodObject, ...PodObject[]]
    world.run(running)
    // The job is cancelled, so Spark wants none of them any more.
    world.order('cancel')
    await until(
      'pending ones are deleted',
      () => world.asked.killed.length >= pending.length,
      30_000,
      world.output,
    )
    expect(new Set(world.asked.killed)).toEqual(new Set(pending.map(({ metadata }) => metadata.uid)))
    expect(world.pods.get(running.metadata.name)?.metadata.deletionTimestamp).toBeUndefined()
    for (const { uid } of world.asked.started)
      world.pods.handleFunctionEnd(uid, { why: 'stopped', detail: '' })
    expect(await world.stop()).toBe(0)
  })

  it('asks for no executor under dynamic allocation as long as there is no work', async () => {
    const world = await startDriver(version, {})
    expect(world.asked.started).toEqual([])
    expect(world.facade.callsSeen().count).toBeGreaterThan(0)
    expect(await world.stop()).toBe(0)
  })
})
