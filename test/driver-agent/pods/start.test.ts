/** Starts: deadlines, caps, throttling, what cannot start, and when it is hopeless. */
import { describe, expect, it } from 'vitest'
import { all, createPodsWorld, exitedWord, type PodsWorld, startedWord } from '../../helper/pods.ts'

describe('the start deadline', () => {
  it('fails a pod whose executor has not dialled the driver in time, and kills its function', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.clock.pass(59_999)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Pending' })
    world.clock.pass(1)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Failed' })
    expect(world.pods.get('job-1-exec-1')?.status).toMatchObject({
      reason: 'StartDeadline',
      message: 'its executor did not reach the driver within 60 s (its function never reached the relay)',
    })
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  const late =
    'its executor did not reach the driver within 5 s (its JVM runs and has not dialled the driver)'
  function overdue(): { world: PodsWorld; pod: ReturnType<PodsWorld['post']> } {
    const world = createPodsWorld({ startDeadlineMs: 5_000 })
    const pod = world.post(1)
    world.say(pod, startedWord(pod, '127.64.0.2'))
    world.say(pod, { is: 'jvm-running', pid: 8 })
    world.clock.pass(5_000)
    return { world, pod }
  }
  const verdictOf = (world: PodsWorld) => world.pods.get('job-1-exec-1')?.status

  it('says how far the start had come, and what its JVM said last', () => {
    const { world, pod } = overdue()
    expect(world.asked.stopped).toMatchObject([{ uid: pod.metadata.uid, reason: 'its start took too long' }])
    world.say(pod, exitedWord(143, null, ['WARN no route to the driver']))
    expect(verdictOf(world)).toMatchObject({
      phase: 'Failed',
      reason: 'StartDeadline',
      message: `${late}; its last lines:\nWARN no route to the driver`,
    })
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  it('waits three seconds for that, no longer', () => {
    const { world, pod } = overdue()
    world.clock.pass(2_999)
    expect(verdictOf(world)?.phase).toBe('Running')
    expect(world.asked.killed).toEqual([])
    world.clock.pass(1)
    expect(verdictOf(world)).toMatchObject({ phase: 'Failed', message: late })
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  it('hears the last lines of a function whose end was told before them', () => {
    const { world, pod } = overdue()
    world.end(pod, { why: 'exited', code: 1 })
    expect(verdictOf(world)?.phase).toBe('Running')
    world.say(pod, exitedWord(143, null, ['the last']))
    expect(verdictOf(world)?.message).toBe(`${late}; its last lines:\nthe last`)
  })

  it('takes no word of a first stream after it, and goes at once when Spark deletes the pod', () => {
    const { world, pod } = overdue()
    world.say(pod, { is: 'rpc-opened' })
    expect(world.pods.counts()).toMatchObject({ starting: 1, running: 0 })
    world.pods.remove('job-1-exec-1')
    expect(world.phases()).toEqual({})
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  it('does not run for an executor that has dialled', () => {
    const world = createPodsWorld()
    world.run(world.post(1))
    world.clock.pass(3_600_000)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Running' })
  })

  it('begins with the function, not while a pod waits for room', () => {
    const world = createPodsWorld({ maxExecutors: 1 })
    const first = world.post(1)
    world.run(first)
    world.post(2)
    world.clock.pass(600_000)
    expect(world.phases()['job-1-exec-2']).toBe('Pending')
    world.end(first, { why: 'crashed', detail: '' })
    world.clock.pass(59_999)
    expect(world.phases()).toEqual({ 'job-1-exec-2': 'Pending' })
    world.clock.pass(1)
    expect(world.phases()).toEqual({ 'job-1-exec-2': 'Failed' })
  })
})

describe('the cap on executors', () => {
  it('accepts pods over it and leaves them Pending until a function has ended, oldest first', () => {
    const world = createPodsWorld({ maxExecutors: 2, instances: 2 })
    const pods = [1, 2, 3, 4].map((number) => world.post(number))
    expect(world.asked.started).toHaveLength(2)
    expect(Object.values(world.phases())).toEqual(['Pending', 'Pending', 'Pending', 'Pending'])
    world.run(pods[0] as (typeof pods)[0])
    world.end(pods[0] as (typeof pods)[0], { why: 'crashed', detail: '' })
    expect(world.asked.started.map(({ pod }) => pod.name)).toEqual([
      'job-1-exec-1',
      'job-1-exec-2',
      'job-1-exec-3',
    ])
  })

  it('counts a function that outlives its pod', () => {
    const world = createPodsWorld({ maxExecutors: 1 })
    const first = world.post(1)
    world.run(first)
    world.post(2)
    world.say(first, exitedWord(0))
    expect(world.asked.started).toHaveLength(1)
    world.end(first, { why: 'exited', code: 0 })
    expect(world.asked.started).toHaveLength(2)
  })
})

describe('a platform that throttles', () => {
  const later = { why: 'not-started', detail: 'too many functions', retryable: true } as const

  it('is not told to Spark: the pod stays Pending and is started again later, at another address', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.end(pod, later)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Pending' })
    expect(world.asked.started).toHaveLength(1)
    world.clock.pass(500)
    expect(world.asked.started.map(({ address }) => address)).toEqual(['127.64.0.2', '127.64.0.3'])
    world.run(pod)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Running' })
  })

  it('is asked ever more rarely, and no failed start is counted', () => {
    const world = createPodsWorld({ instances: 1 })
    const pod = world.post(1)
    for (let time = 0; time < 30; time += 1) {
      world.end(pod, later)
      world.clock.pass(20_000)
    }
    expect(world.asked.started).toHaveLength(31)
    world.end(pod, later)
    world.clock.pass(9_999)
    expect(world.asked.started).toHaveLength(31)
    expect(world.asked.hopeless).toEqual([])
    expect(world.pods.counts().failed).toBe(0)
  })

  it('hears no words of the function that never was', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.end(pod, later)
    world.clock.pass(500)
    world.pods.handleShimMessage('127.64.0.2', { is: 'rpc-opened' })
    expect(world.pods.counts()).toMatchObject({ starting: 1, running: 0 })
  })
})

describe('a start that fails', () => {
  it('makes the pod Failed with the last lines of its JVM', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.say(pod, startedWord(pod, '127.64.0.2'))
    world.say(pod, { is: 'jvm-running', pid: 8 })
    world.say(pod, exitedWord(1, null, ['Error: Could not find or load main class org.apache.Nothing']))
    const status = world.pods.get('job-1-exec-1')?.status
    expect(status).toMatchObject({ phase: 'Failed', reason: 'Error' })
    expect(status?.message).toBe(
      "the executor's JVM exited with code 1 before it reached the driver; its last lines:\n" +
        'Error: Could not find or load main class org.apache.Nothing',
    )
    expect(status?.containerStatuses?.[0]?.state.terminated?.message).toBe(status?.message)
  })

  const ends = [
    { why: 'exited', code: 0 },
    { why: 'crashed', detail: 'vanished' },
    { why: 'timed-out', detail: '900 s' },
    { why: 'memory', detail: '984 MiB' },
    { why: 'not-started', detail: 'no such program', retryable: false },
  ] as const
  it.each(ends)('also when the platform ended it: %o', (end) => {
    const world = createPodsWorld()
    world.end(world.post(1), end)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Failed' })
  })

  it('is failed though the JVM ended with 0: else a broken image would be started for ever', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.say(pod, exitedWord(0))
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Failed' })
  })

  it('says which Spark the function has when it is another one', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.say(pod, startedWord(pod, '127.64.0.2', '3.5.7'))
    expect(world.pods.get('job-1-exec-1')?.status).toMatchObject({
      phase: 'Failed',
      reason: 'OtherSparkVersion',
      message: 'the function has Spark 3.5.7, the driver is Spark 4.3.0: give both the same version',
    })
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  it('keeps the newest lines when there are too many', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    const lines = Array.from({ length: 400 }, (_, number) => `line ${number} ${'x'.repeat(40)}`)
    world.say(pod, exitedWord(1, null, lines))
    const message = world.pods.get('job-1-exec-1')?.status.message ?? ''
    expect(message.length).toBeLessThanOrEqual(4_096)
    expect(message).toContain('line 399')
    expect(message).not.toContain('line 1 ')
  })
})

describe('a pod that no function can be', () => {
  const rows: [string, Parameters<PodsWorld['post']>[1], string][] = [
    [
      'a GPU',
      (body) => {
        ;(body.spec.containers[0] as { resources: { limits: Record<string, string> } }).resources.limits[
          'nvidia.com/gpu'
        ] = '1'
      },
      'asks for nvidia.com/gpu',
    ],
    [
      'a claim',
      (body) => {
        body.spec.volumes.push({ name: 'data', persistentVolumeClaim: { claimName: 'c' } })
      },
      'its volume data is of the kind persistentVolumeClaim',
    ],
    [
      'a volume of a cluster',
      (body) => {
        body.spec.volumes.push({ name: 'keys', secret: { secretName: 's' } })
      },
      'its volume keys is of the kind secret',
    ],
    [
      'variables of a cluster',
      (body) => {
        Object.assign(body.spec.containers[0] as object, { envFrom: [{ configMapRef: { name: 'c' } }] })
      },
      'use spark.executorEnv.NAME',
    ],
    [
      'containers that run before',
      (body) => {
        Object.assign(body.spec, { initContainers: [{ name: 'fetch', image: 'x' }] })
      },
      'it has init containers',
    ],
    [
      'a secret',
      (body) => {
        body.spec.containers[0]?.env.push({
          name: 'PASSWORD',
          valueFrom: { secretKeyRef: { name: 's', key: 'k' } },
        })
      },
      'use spark.executorEnv.PASSWORD',
    ],
    [
      'no memory',
      (body) => {
        for (const container of body.spec.containers) container.resources = { limits: {}, requests: {} }
      },
      'has no memory limit or request',
    ],
  ]
  it.each(rows)('is accepted and Failed with the reason: %s', (_, change, reason) => {
    const world = createPodsWorld()
    expect(world.post(1, change).status.phase).toBe('Pending')
    expect(world.pods.get('job-1-exec-1')?.status.phase).toBe('Failed')
    expect(world.pods.get('job-1-exec-1')?.status.message).toContain(reason)
    expect(world.asked.started).toEqual([])
  })

  it('does without an optional secret', () => {
    const world = createPodsWorld()
    const pod = world.post(1, (body) => {
      const secretKeyRef = { name: 's', key: 'k', optional: true }
      body.spec.containers[0]?.env.push({ name: 'PASSWORD', valueFrom: { secretKeyRef } })
    })
    expect(Object.keys(world.startOf(pod).pod.env)).not.toContain('PASSWORD')
  })
})

describe('a job whose executors cannot start', () => {
  /** Posts, as Spark does, a pod for each that failed; all starts fail. Returns how many were asked for. */
  function failForever(world: PodsWorld, batch: number): number {
    let number = 0
    let failed = 0
    for (let round = 0; round < 100 && world.asked.hopeless.length === 0; round += 1) {
      while (number - failed < batch) {
        number += 1
        world.post(number)
      }
      const request = world.asked.started[failed]
      if (request === undefined) break
      world.pods.handleFunctionEnd(request.uid, { why: 'crashed', detail: 'broken image' })
      world.pods.remove(request.pod.name)
      failed += 1
    }
    return world.asked.started.length
  }

  const rows = [
    // [instances, pods posted at once, most starts]: min(20, max(3, 2 × instances))
    [0, 1, 3],
    [0, 100, 3],
    [1, 1, 3],
    [4, 4, 8],
    [10, 10, 20],
    [500, 100, 20],
  ] as const
  it.each(rows)('ends after few starts: instances %i, batches of %i → %i', (instances, batch, most) => {
    const world = createPodsWorld({ instances, maxExecutors: 1_000 })
    expect(failForever(world, batch)).toBe(most)
    expect(world.asked.hopeless).toEqual([
      `${most} executors in a row did not start; the last one: the function crashed: broken image`,
    ])
    world.post(10_000)
    expect(world.asked.started).toHaveLength(most)
  })

  /** All pods at once, as dynamic allocation posts them; all their functions end at once, by themselves. */
  it.each([0, 2])('counts functions that wait for a verdict, with instances %i', (instances) => {
    const world = createPodsWorld({ instances, maxExecutors: 1_000 })
    const most = Math.max(3, 2 * instances)
    for (let number = 1; number <= 100; number += 1) world.post(number)
    const { started } = world.asked
    for (let at = 0; at < started.length; at += 1) {
      const { uid, address, pod } = started[at] as (typeof started)[0]
      world.pods.handleShimMessage(address, {
        ...startedWord({ metadata: { uid, name: pod.name } } as ReturnType<PodsWorld['post']>, address),
      })
      world.pods.handleFunctionEnd(uid, { why: 'exited', code: 1 })
    }
    world.clock.pass(1_000)
    expect(started).toHaveLength(most)
    expect(world.asked.hopeless).toHaveLength(1)
  })

  it('counts from the last executor that did start', () => {
    const world = createPodsWorld({ instances: 0 })
    for (let number = 1; number <= 30; number += 1) {
      const pod = world.post(number)
      if (number % 3 === 0) world.run(pod)
      world.end(pod, { why: 'crashed', detail: '' })
    }
    expect(world.asked.hopeless).toEqual([])
    expect(world.pods.counts()).toMatchObject({ failed: 20, gone: 10, functionsRegistered: 10 })
  })

  it('starts all it may once one executor has reached the driver', () => {
    const world = createPodsWorld({ instances: 0 })
    const pods = Array.from({ length: 50 }, (_, number) => world.post(number + 1))
    expect(world.asked.started).toHaveLength(3)
    world.run(pods[0] as (typeof pods)[0])
    expect(world.asked.started).toHaveLength(50)
  })

  it('is none as long as an executor works: late starts are its driver’s to judge', () => {
    const world = createPodsWorld({ instances: 0 })
    const first = world.post(1)
    world.run(first)
    for (let number = 2; number <= 20; number += 1)
      world.end(world.post(number), { why: 'crashed', detail: '' })
    expect(world.asked.hopeless).toEqual([])
    expect(world.pods.counts().failed).toBe(19)
    world.end(first, { why: 'crashed', detail: '' })
    for (let number = 21; number <= 23; number += 1)
      world.end(world.post(number), { why: 'crashed', detail: '' })
    expect(world.asked.hopeless).toHaveLength(1)
  })

  it('is none for the next driver when one was killed while its executors started', () => {
    const world = createPodsWorld({ instances: 0 })
    const stop = world.pods.watch(all, undefined, () => {})
    const pods = [1, 2, 3].map((number) => world.post(number))
    stop()
    for (const pod of pods) world.end(pod, { why: 'exited', code: 1 })
    expect(world.asked.hopeless).toEqual([])
    world.pods.watch(all, undefined, () => {})
    const next = world.post(4)
    world.run(next)
    expect(world.phases()['job-1-exec-4']).toBe('Running')
  })

  it('may call back into the table from its callbacks', () => {
    const world: PodsWorld = createPodsWorld()
    const { asked } = world
    asked.started.push = (...requests) => {
      for (const { uid } of requests) world.pods.handleFunctionEnd(uid, { why: 'crashed', detail: 'at once' })
      return 0
    }
    world.post(1)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Failed' })
  })
})
