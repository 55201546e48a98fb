import { describe, expect, it } from 'vitest'
import { AgentWorld, ScriptedChannel } from '../helper/agent-world.ts'

describe('functions between pods and provider', () => {
  it('are started with an address, a token of it, and what the pod says', async () => {
    const world = new AgentWorld()
    await world.post(1)
    expect(world.provider.started[0]?.payload).toMatchObject({
      app: 'spark-test',
      address: '127.64.0.2',
      token: 'token of 127.64.0.2',
      sparkVersion: '4.3.0',
      pod: {
        name: 'job-1-exec-1',
        env: { SPARK_EXECUTOR_POD_IP: '127.64.0.2', SPARK_EXECUTOR_ATTRIBUTE_EXECUTOR_ID: '1' },
      },
    })
    expect(world.ledger.executors).toMatchObject([
      { executorId: '1', phase: 'starting', sparkApplication: 'spark-abc' },
    ])
  })

  it('note when a shim is attached, its JVM runs, and it has dialled the driver', async () => {
    const world = new AgentWorld()
    await world.post(1)
    world.clock.pass(800)
    const channel = world.connect(0)
    world.clock.pass(100)
    channel.say({ is: 'jvm-running', pid: 9 })
    world.clock.pass(3_000)
    channel.say({ is: 'rpc-opened' })
    expect(world.ledger.executors[0]).toMatchObject({
      phase: 'running',
      attachedAfterMs: 800,
      jvmAfterMs: 900,
      rpcAfterMs: 3_900,
    })
  })

  it('that end are retired, and their last words still count', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    const peers = [{ peer: '127.64.0.1', sentBytes: 5, receivedBytes: 6, streams: 1 }]
    channel.say({ is: 'traffic', peers, resumes: 3, shimResidentBytes: 60_000_000 })
    expect(world.retired).toEqual([])
    world.provider.started[0]?.end({ why: 'exited', code: 0 })
    await world.settle()
    expect(world.retired).toEqual(['127.64.0.2'])
    expect(world.ledger.executors[0]).toMatchObject({
      phase: 'ended',
      exitCode: 0,
      resumes: 3,
      shimResidentBytes: 60_000_000,
    })
  })

  it('whose token cannot be signed fail their pod instead of hanging', async () => {
    const world = new AgentWorld()
    world.signToken = async () => {
      throw new Error('no key covers it')
    }
    await world.post(1)
    expect(world.provider.started).toEqual([])
    expect(world.ledger.executors[0]).toMatchObject({
      phase: 'ended',
      end: expect.stringContaining('no key covers it'),
    })
  })

  it('that are deleted before they were started are never started', async () => {
    const world = new AgentWorld()
    let sign: (token: string) => void = () => {}
    world.signToken = () =>
      new Promise((resolve) => {
        sign = resolve
      })
    await world.post(1)
    world.pods.remove('job-1-exec-1', 0)
    await world.settle()
    sign('late')
    await world.settle()
    expect(world.provider.started).toEqual([])
    expect(world.pods.counts().functionsAlive).toBe(0)
  })

  it('are killed at once when their pod is deleted without grace', async () => {
    const world = new AgentWorld()
    await world.post(1)
    world.pods.remove('job-1-exec-1', 0)
    await world.settle()
    expect(world.provider.started[0]?.isStopped).toBe(true)
    expect(world.pods.counts().functionsAlive).toBe(0)
  })

  it('of an executor whose JVM cannot start make the job hopeless', async () => {
    const world = new AgentWorld({ instances: 1 })
    for (let number = 1; number <= 3; number += 1) {
      await world.post(number)
      world.provider.started[number - 1]?.end({ why: 'exited', code: 1 })
      await world.settle()
    }
    expect(world.hopeless).toHaveLength(1)
  })

  it('of another Spark application tell that a driver was started again', async () => {
    const world = new AgentWorld()
    await world.post(1)
    await world.post(2)
    expect(world.newApplications).toEqual([])
    await world.post(3, (body) => {
      body.metadata.labels['spark-app-selector'] = 'spark-next'
    })
    expect(world.newApplications).toEqual(['spark-next'])
  })
})

describe('control streams', () => {
  it('of addresses that have no function are closed', () => {
    const world = new AgentWorld()
    const channel = new ScriptedChannel('127.64.0.9')
    world.functions.handleControl('127.64.0.9', channel)
    expect(channel.isClosed).toBe(true)
  })

  it('bring warnings of executors, with what was dropped', async () => {
    const world = new AgentWorld()
    await world.post(1)
    world.connect(0).say({ is: 'log', lines: ['WARN disk is slow'], dropped: 3 })
    expect(world.lines).toEqual([
      '[executor 1] WARN disk is slow',
      '[executor 1] … 3 more lines are in its log file',
    ])
    expect(world.functions.droppedLogLines).toBe(3)
  })

  it('survive words that make no sense', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    channel.say({ is: 'nonsense' })
    channel.say({ is: 'jvm-running', pid: 'seven' })
    channel.say({ is: 'rpc-opened' })
    expect(world.ledger.executors[0]?.phase).toBe('running')
  })

  it('are not heard after a hundred words that make no sense', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    for (let word = 0; word < 100; word += 1) channel.say({ is: 'nonsense' })
    expect(channel.isClosed).toBe(true)
    channel.say({ is: 'rpc-opened' })
    expect(world.ledger.executors[0]?.phase).toBe('starting')
  })

  it('bring no more lines than a shim would send, and what was dropped is counted and told', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    for (let i = 0; i < 50; i++)
      channel.say({ is: 'log', lines: Array.from({ length: 100 }, () => 'WARN noise'), dropped: 0 })
    expect(world.lines).toHaveLength(400)
    expect(world.functions.droppedLogLines).toBe(4_600)
    world.clock.pass(10_000)
    channel.say({ is: 'log', lines: ['WARN after'], dropped: 0 })
    expect(world.lines.slice(400)).toEqual([
      '[executor 1] WARN after',
      '[executor 1] … 4600 more lines are in its log file',
    ])
  })

  it('may say many words that make no sense, which are few lines, and then no more', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    channel.say({ is: 'log', lines: Array.from({ length: 200_000 }, () => 7), dropped: 0 })
    for (let i = 0; i < 98; i++) channel.say({ is: 'log', lines: [7, 8, 9], dropped: 'x'.repeat(70_000) })
    expect(channel.isClosed).toBe(false)
    channel.say({ is: 'nonsense' })
    expect(channel.isClosed).toBe(true)
    const told = world.log.filter(({ msg }) => msg === 'a word of a shim was not understood')
    expect(told.map(({ count }) => count)).toEqual([1, 2, 4, 8, 16, 32, 64])
    expect(JSON.stringify(told).length).toBeLessThan(3_000)
  })

  it('have one control stream each: a newer one ends it', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const first = world.connect(0)
    const second = world.connect(0)
    expect([first.isClosed, second.isClosed]).toEqual([true, false])
    first.say({ is: 'log', lines: ['WARN of the first'], dropped: 0 })
    second.say({ is: 'log', lines: ['WARN of the second'], dropped: 0 })
    expect(world.lines).toEqual(['[executor 1] WARN of the second'])
  })

  it('carry drain to the shim', async () => {
    const world = new AgentWorld()
    await world.post(1)
    const channel = world.connect(0)
    channel.say({ is: 'jvm-running', pid: 9 })
    channel.say({ is: 'rpc-opened' })
    const uid = world.pods.uidOf('127.64.0.2')
    expect(world.pods.drain(uid as string, 'lifetime')).toBe(true)
    expect(channel.received).toEqual([{ is: 'drain', reason: 'lifetime' }])
    expect(world.ledger.executors[0]?.phase).toBe('draining')
  })
})
