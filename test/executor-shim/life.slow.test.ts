import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ExecutorWorld } from '../helper/executor-world.ts'
import { howEnded } from '../helper/how-ended.ts'

const warn = '26/11/23 02:50:01 WARN TaskSetManager: Lost task 0.0'
const trace = '\tat org.apache.spark.X.y(X.scala:1)'
const info = '26/11/23 02:50:01 INFO Executor: quiet'

let world: ExecutorWorld
beforeAll(async () => {
  world = await ExecutorWorld.start()
})
afterAll(() => world.close())

describe('an executor in a namespace, over a real relay', () => {
  it('reports its life from the start to an exit that Spark asked for', async () => {
    const executor = await world.executor({
      confDir: { 'log4j2.properties': Buffer.from('a=b').toString('base64') },
    })
    const birth = await executor.born.promise
    await executor.message('rpc-opened')
    executor.order({ print: [info, warn, trace, info], exit: 0 })
    expect(await howEnded(executor.handle.ended)).toEqual({ why: 'exited', code: 0 })

    expect(executor.messages.map(({ is }) => is).filter((is) => is !== 'traffic')).toEqual([
      'started',
      'jvm-running',
      'rpc-opened',
      'log',
      'exited',
    ])
    expect(await executor.message('started')).toMatchObject({
      pod: executor.pod,
      uid: 'a-uid',
      address: executor.address,
      sparkVersion: '4.3.0',
    })
    expect(await executor.message('log')).toEqual({ is: 'log', lines: [warn, trace], dropped: 0 })
    const exited = await executor.message('exited')
    expect(exited).toMatchObject({ code: 0, signal: null, lastLines: [info, warn, trace, info] })
    expect(exited.maxResidentBytes).toBeGreaterThan(10_000_000)
    expect(executor.messages.at(-1)).toMatchObject({ is: 'traffic' })
    const traffic = executor.messages.findLast((message) => message.is === 'traffic')
    const withDriver =
      traffic?.is === 'traffic' ? traffic.peers.find(({ peer }) => peer === '127.64.0.1') : undefined
    expect(withDriver?.sentBytes).toBeGreaterThan(JSON.stringify(birth).length)
    expect(world.log(executor)).toBe([info, warn, trace, info, ''].join('\n'))
    expect(birth.cwd).toBe('/tmp/work')
    expect(birth.env).toMatchObject({ SPARK_LOCAL_DIRS: '/tmp/work/local', SPARK_CONF_DIR: '/tmp/work/conf' })
    expect(Object.keys(birth.env).filter((name) => /^(SLR|MALLOC)_/.test(name))).toEqual([])
  })

  it('passes 200 of 300 warnings on, counts the others, and keeps all of them in its log', async () => {
    const executor = await world.executor()
    await executor.born.promise
    const print = Array.from({ length: 300 }, (_, number) => `${warn} (number ${number})`)
    executor.order({ print, exit: 0 })
    await executor.message('exited')
    const told = executor.messages.filter((message) => message.is === 'log')
    expect(told.flatMap(({ lines }) => lines)).toEqual(print.slice(0, 200))
    expect(told.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(100)
    await executor.handle.ended
    expect(world.log(executor)).toBe([...print, ''].join('\n'))
  })

  it('serves its blocks at its virtual address', async () => {
    const executor = await world.executor()
    await executor.born.promise
    const port = Number(/\d+$/.exec((await executor.born.promise).args[0] ?? '')?.[0])
    const socket = connect(port, executor.address)
    const text = await new Promise((resolve, reject) => {
      socket.once('data', (chunk) => resolve(chunk.toString()))
      socket.once('error', reject)
    })
    expect(text).toBe('a block')
    executor.order({ exit: 0 })
    await executor.handle.ended
  })

  it('drains by SIGPWR', async () => {
    const executor = await world.executor()
    await executor.born.promise
    executor.tell({ is: 'drain', reason: 'its lifetime will be over' })
    expect(await executor.message('draining')).toEqual({
      is: 'draining',
      reason: 'its lifetime will be over',
    })
    expect(await executor.message('exited')).toMatchObject({ code: 0, signal: null })
    expect(await howEnded(executor.handle.ended)).toEqual({ why: 'exited', code: 0 })
  })

  it('stops by SIGTERM, and by SIGKILL when that does not help', async () => {
    const willing = await world.executor()
    await willing.born.promise
    willing.tell({ is: 'stop', reason: 'deleted', graceMs: 5000 })
    expect(await willing.message('exited')).toMatchObject({ code: null, signal: 'SIGTERM' })
    expect(await howEnded(willing.handle.ended)).toEqual({ why: 'exited', code: 1 })

    const stubborn = await world.executor()
    await stubborn.born.promise
    stubborn.order({ ignoreTerm: true, print: ['ready to be stubborn'] })
    await expect.poll(() => world.log(stubborn)).toContain('stubborn')
    stubborn.tell({ is: 'stop', reason: 'deleted', graceMs: 300 })
    expect(await stubborn.message('exited')).toMatchObject({ code: null, signal: 'SIGKILL' })
    await stubborn.handle.ended
  })

  it('tells the last lines of a JVM that failed', async () => {
    const executor = await world.executor()
    await executor.born.promise
    executor.order({ print: ['Error: Could not find or load main class x'], exit: 3 })
    const exited = await executor.message('exited')
    expect(exited).toMatchObject({
      code: 3,
      signal: null,
      lastLines: ['Error: Could not find or load main class x'],
    })
    expect(await howEnded(executor.handle.ended)).toEqual({ why: 'exited', code: 1 })
  })

  it('tells of a JVM that was killed', async () => {
    const executor = await world.executor()
    await executor.born.promise
    executor.order({ killSelf: 'SIGKILL' })
    expect(await executor.message('exited')).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect(await howEnded(executor.handle.ended)).toEqual({ why: 'exited', code: 1 })
  })

  it('refuses a Spark other than the driver runs, and starts no JVM', async () => {
    const executor = await world.executor({ sparkVersion: '3.5.7' })
    expect(await executor.message('exited')).toMatchObject({
      code: 2,
      lastLines: [expect.stringContaining('the function has Spark 4.3.0, the driver runs 3.5.7')],
    })
    expect(await howEnded(executor.handle.ended)).toEqual({
      why: 'exited',
      code: 2,
      detail: expect.stringContaining('the function has Spark 4.3.0'),
    })
    expect(executor.messages.some(({ is }) => is === 'jvm-running')).toBe(false)
  })

  it('says that its Java is missing', async () => {
    const executor = await world.executor({}, { env: { JAVA_HOME: '/nonexistent' } })
    expect(await executor.message('exited')).toMatchObject({
      code: 2,
      lastLines: [expect.stringContaining('/nonexistent/bin/java: not found; set JAVA_HOME')],
    })
    expect(await executor.handle.ended).toMatchObject({ why: 'exited', code: 2 })
  })

  it('says that its folder holds no Spark', async () => {
    const executor = await world.executor({}, { sparkHome: '/nonexistent' })
    expect(await executor.message('exited')).toMatchObject({
      code: 2,
      lastLines: [expect.stringContaining('SPARK_HOME=/nonexistent holds no Spark')],
    })
    expect(await executor.handle.ended).toMatchObject({ why: 'exited', code: 2 })
    expect(executor.messages.some(({ is }) => is === 'started')).toBe(false)
  })

  it('ends itself when its lifetime is over, and is reported as timed out', async () => {
    const executor = await world.executor({ maxLifetimeMs: 10_000 })
    expect(await executor.message('exited')).toMatchObject({ signal: 'SIGTERM' })
    expect(await howEnded(executor.handle.ended)).toEqual({
      why: 'timed-out',
      detail: 'its lifetime is over',
    })
  })

  it('lets the driver see that the work folder is full', async () => {
    const executor = await world.executor({}, { tmpBytes: 64 * 1024 * 1024 })
    await executor.born.promise
    executor.order({ fillDisk: true })
    const log = await executor.message('log')
    expect(log.lines).toContain('java.io.IOException: No space left on device')
    expect(log.lines.at(-1)).toMatch(
      /^spark-lambda-relay: the work folder of test-exec-\d+ is full \(0 MiB of 64 MiB free\): give functions a larger disk/,
    )
    executor.order({ exit: 0 })
    await executor.handle.ended
  })
})
