/** What Spark is told in the life of a pod, and what its function is told. */
import { describe, expect, it } from 'vitest'
import { createPodsWorld, exitedWord, startedWord } from '../../helper/pods.ts'

describe('a pod that lives well', () => {
  it('is Pending when it is posted, and has its function asked for at once', () => {
    const world = createPodsWorld()
    const events = world.watchAll()
    const pod = world.post(1)
    expect(pod.status.phase).toBe('Pending')
    expect(pod.metadata).toMatchObject({ namespace: 'spark', creationTimestamp: '2026-01-01T00:00:01Z' })
    expect(pod.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
    expect(events[0]).toMatchObject({ type: 'ADDED', object: { status: { phase: 'Pending' } } })
    expect(world.asked.started).toHaveLength(1)
  })

  it('hands its function everything that the pod says, with fieldRefs resolved', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    expect(world.startOf(pod)).toEqual({
      uid: pod.metadata.uid,
      address: '127.64.0.2',
      sparkVersion: '4.3.0',
      pod: {
        name: 'job-1-exec-1',
        uid: pod.metadata.uid,
        namespace: 'spark',
        labels: pod.metadata.labels,
        memoryBytes: 984 * 1024 * 1024,
        cpus: 1,
        env: {
          SPARK_EXECUTOR_ID: '1',
          _SPARK_AUTH_SECRET: 'not-to-be-seen',
          SPARK_EXECUTOR_POD_IP: '127.64.0.2',
          SPARK_EXECUTOR_POD_NAME: 'job-1-exec-1',
        },
      },
    })
  })

  it('is Running with its address as soon as its JVM runs, and every container entry has a state', () => {
    const world = createPodsWorld()
    const events = world.watchAll()
    const pod = world.post(1)
    world.say(pod, startedWord(pod, '127.64.0.2'))
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Pending' })
    world.say(pod, { is: 'jvm-running', pid: 8 })
    expect(events.at(-1)).toMatchObject({
      type: 'MODIFIED',
      object: {
        status: {
          phase: 'Running',
          podIP: '127.64.0.2',
          containerStatuses: [{ name: 'spark-kubernetes-executor', state: { running: {} } }],
        },
      },
    })
    for (const { object } of events) {
      expect(object.status.containerStatuses?.every(({ state }) => Object.keys(state).length === 1)).toBe(
        true,
      )
    }
  })

  it('gives each change a higher resource version', () => {
    const world = createPodsWorld()
    const events = world.watchAll()
    world.run(world.post(1))
    world.run(world.post(2))
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion))
    expect(versions).toEqual([...new Set(versions)].sort((left, right) => left - right))
    expect(world.pods.resourceVersion).toBe(String(versions.at(-1)))
  })

  it('never gives an address out twice', () => {
    const world = createPodsWorld()
    const first = world.post(1)
    world.run(first)
    world.say(first, exitedWord(0))
    world.end(first, { why: 'exited', code: 0 })
    expect(world.startOf(world.post(2)).address).toBe('127.64.0.3')
    expect(world.pods.uidOf('127.64.0.2')).toBe(first.metadata.uid)
  })

  it('tells its steps', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.clock.pass(700)
    world.run(pod)
    world.say(pod, exitedWord(0))
    expect(world.asked.events.map(({ from, to, ageMs }) => ({ from, to, ageMs }))).toEqual([
      { from: 'absent', to: 'pending', ageMs: 0 },
      { from: 'pending', to: 'starting', ageMs: 0 },
      { from: 'starting', to: 'running', ageMs: 700 },
      { from: 'running', to: 'ended', ageMs: 700 },
    ])
    expect(world.asked.events.at(-1)).toMatchObject({
      outcome: 'gone',
      address: '127.64.0.2',
      executorId: '1',
    })
  })
})

/** Each row of SPARK.md, "Life and death of a pod", for an executor that ran. */
describe('an executor that ran and ended', () => {
  const rows = [
    ['exit 0, which Spark asked for by RPC', exitedWord(0), 'gone'],
    ['its JVM was killed by a signal', exitedWord(null, 'SIGKILL'), 'gone'],
    ['exit 143, a SIGTERM that the JVM heeded', exitedWord(143), 'gone'],
    ['exit 56, the driver was out of reach', exitedWord(56), 'gone'],
    ['exit 52, out of memory in the heap', exitedWord(52), 'failed'],
    ['exit 1, the application called System.exit', exitedWord(1), 'failed'],
  ] as const
  it.each(rows)('%s', (_, word, outcome) => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    const events = world.watchAll(world.pods.resourceVersion)
    world.say(pod, word)
    expect(events).toHaveLength(1)
    const [event] = events
    expect(event?.object.status.phase).toBe('Failed')
    expect(event?.type).toBe(outcome === 'gone' ? 'DELETED' : 'MODIFIED')
    expect(event?.object.metadata.deletionTimestamp !== undefined).toBe(outcome === 'gone')
    expect(world.asked.hopeless).toEqual([])
  })

  const ends = [
    [{ why: 'timed-out', detail: '900 s' }, 'gone'],
    [{ why: 'crashed', detail: 'killed' }, 'gone'],
    [{ why: 'stopped', detail: 'by hand' }, 'gone'],
    // The application's doing, as Kubernetes has it: OOMKilled. Else it would be started for ever.
    [{ why: 'memory', detail: '984 MiB' }, 'failed'],
  ] as const
  it.each(ends)('the platform says %o', (end, outcome) => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    const events = world.watchAll(world.pods.resourceVersion)
    world.end(pod, end)
    expect(events).toHaveLength(1)
    expect(events[0]?.type).toBe(outcome === 'gone' ? 'DELETED' : 'MODIFIED')
    expect(events[0]?.object.status.phase).toBe('Failed')
  })

  it('is never Succeeded, whatever happens', () => {
    const world = createPodsWorld()
    const events = world.watchAll()
    const pod = world.post(1)
    world.run(pod)
    world.pods.remove('job-1-exec-1')
    world.say(pod, exitedWord(0))
    world.end(pod, { why: 'exited', code: 0 })
    expect(events.map(({ object }) => object.status.phase)).not.toContain('Succeeded')
    expect(events.at(-1)).toMatchObject({ type: 'DELETED', object: { status: { phase: 'Failed' } } })
  })

  it('keeps the last lines of a JVM that failed, and the exit code where Spark looks for it', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, exitedWord(52, null, ['at A.b', 'java.lang.OutOfMemoryError: Java heap space']))
    const status = world.pods.get('job-1-exec-1')?.status
    expect(status).toMatchObject({
      reason: 'Error',
      message: expect.stringContaining('java.lang.OutOfMemoryError: Java heap space'),
      containerStatuses: [
        { state: { terminated: { exitCode: 52, message: expect.stringContaining('at A.b') } } },
      ],
    })
  })

  it('leaves none of its environment behind', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, exitedWord(1))
    expect(JSON.stringify(world.pods.get('job-1-exec-1'))).not.toContain('not-to-be-seen')
    expect(JSON.stringify(world.watchAll('1'))).not.toContain('not-to-be-seen')
  })

  it('waits a moment for its last words when its function is over first', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.end(pod, { why: 'exited', code: 1 })
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Running' })
    world.say(pod, exitedWord(1, null, ['it was the application']))
    expect(world.pods.get('job-1-exec-1')?.status.message).toContain('it was the application')
  })

  it('is gone after that moment when no words come: a silent end is not the application’s', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.end(pod, { why: 'exited', code: 1 })
    world.clock.pass(299)
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Running' })
    world.clock.pass(1)
    expect(world.phases()).toEqual({})
  })

  it('is ended once, though its shim and its provider both tell', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, exitedWord(null, 'SIGKILL'))
    world.end(pod, { why: 'exited', code: 137 })
    world.end(pod, { why: 'crashed', detail: 'again' })
    expect(world.pods.counts()).toMatchObject({ gone: 1, failed: 0, functionsAlive: 0 })
  })

  it('has its function killed when that outlives the JVM', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, exitedWord(0))
    expect(world.asked.killed).toEqual([])
    world.clock.pass(5_000)
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })
})

describe('a pod that Spark deletes', () => {
  it('has its function asked to stop, and is gone when the JVM has exited', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    const events = world.watchAll(world.pods.resourceVersion)
    world.pods.remove('job-1-exec-1')
    expect(world.asked.stopped).toEqual([
      { uid: pod.metadata.uid, reason: 'Spark deleted its pod', graceMs: 10_000 },
    ])
    // Running still: Spark takes a deletionTimestamp for an end only with another phase.
    expect(events).toMatchObject([{ type: 'MODIFIED', object: { status: { phase: 'Running' } } }])
    expect(events[0]?.object.metadata.deletionTimestamp).toBeDefined()
    world.say(pod, exitedWord(143))
    expect(events.at(-1)?.type).toBe('DELETED')
    expect(world.phases()).toEqual({})
  })

  it('is gone whatever its exit code, and counts for no failed start', () => {
    const world = createPodsWorld({ instances: 1 })
    for (let number = 1; number <= 10; number += 1) {
      const pod = world.post(number)
      world.pods.remove(pod.metadata.name)
      world.say(pod, exitedWord(1))
      world.end(pod, { why: 'exited', code: 1 })
    }
    expect(world.pods.counts()).toMatchObject({ gone: 10, failed: 0 })
    expect(world.asked.hopeless).toEqual([])
  })

  it('is killed when it does not end within its grace', () => {
    const world = createPodsWorld({ stopGraceMs: 2_000 })
    const pod = world.post(1)
    world.run(pod)
    world.pods.remove('job-1-exec-1')
    world.clock.pass(6_999)
    expect(world.asked.killed).toEqual([])
    world.clock.pass(1)
    expect(world.asked.killed).toEqual([pod.metadata.uid])
    world.end(pod, { why: 'stopped', detail: 'killed' })
    expect(world.phases()).toEqual({})
  })

  it('is killed at once while it has no JVM: there is nothing to end in order', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.say(pod, startedWord(pod, '127.64.0.2'))
    world.pods.remove('job-1-exec-1')
    expect(world.asked.killed).toEqual([pod.metadata.uid])
    expect(world.asked.stopped).toEqual([])
  })

  it('is killed at once with a grace of 0, also when it is stopping already', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.pods.remove('job-1-exec-1')
    world.pods.remove('job-1-exec-1', 0)
    expect(world.asked.killed).toEqual([pod.metadata.uid])
  })

  it('is gone at once when it had no function', () => {
    const world = createPodsWorld({ maxExecutors: 1 })
    world.post(1)
    world.post(2)
    world.pods.remove('job-1-exec-2')
    expect(Object.keys(world.phases())).toEqual(['job-1-exec-1'])
    expect(world.asked.started).toHaveLength(1)
  })

  it('lets go of a Failed pod', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, exitedWord(1))
    const events = world.watchAll(world.pods.resourceVersion)
    world.pods.remove('job-1-exec-1')
    expect(events).toMatchObject([{ type: 'DELETED' }])
    expect(world.phases()).toEqual({})
  })
})

describe('a planned end', () => {
  it('is shown as Terminating while the executor works on, and is gone when it has drained', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    expect(world.pods.drain(pod.metadata.uid, 'its lifetime is nearly over')).toBe(true)
    expect(world.asked.drained).toEqual([pod.metadata.uid])
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Terminating' })
    world.say(pod, exitedWord(0))
    expect(world.phases()).toEqual({})
  })

  it('is nobody’s fault, however the JVM ends', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.pods.drain(pod.metadata.uid, 'handover')
    world.say(pod, exitedWord(1))
    expect(world.pods.counts()).toMatchObject({ gone: 1, failed: 0 })
  })

  it('is also the shim’s to begin', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.say(pod, { is: 'draining', reason: 'SIGTERM of the platform' })
    expect(world.phases()).toEqual({ 'job-1-exec-1': 'Terminating' })
    expect(world.asked.drained).toEqual([])
  })

  it('makes room for the replacement, though the cap is reached', () => {
    const world = createPodsWorld({ maxExecutors: 1 })
    const pod = world.post(1)
    world.run(pod)
    world.post(2)
    expect(world.asked.started).toHaveLength(1)
    world.pods.drain(pod.metadata.uid, 'handover')
    expect(world.asked.started).toHaveLength(2)
  })

  it('cannot begin before the executor runs', () => {
    const world = createPodsWorld()
    expect(world.pods.drain(world.post(1).metadata.uid, 'too early')).toBe(false)
    expect(world.pods.drain('no-such-pod', 'never was')).toBe(false)
  })
})

describe('the end of the job', () => {
  it('stops every function and starts none any more', () => {
    const world = createPodsWorld({ maxExecutors: 2 })
    const first = world.post(1)
    const second = world.post(2)
    world.post(3)
    world.run(first)
    world.pods.stopAll('the job is over')
    expect(world.asked.stopped.map(({ uid }) => uid)).toEqual([first.metadata.uid])
    expect(world.asked.killed).toEqual([second.metadata.uid])
    world.end(first, { why: 'stopped', detail: '' })
    world.end(second, { why: 'stopped', detail: '' })
    world.post(4)
    expect(world.asked.started).toHaveLength(2)
    expect(world.pods.counts().functionsAlive).toBe(0)
  })

  it('leaves no timer behind when the table is closed', () => {
    const world = createPodsWorld()
    world.run(world.post(1))
    world.post(2)
    world.pods.remove('job-1-exec-1')
    world.pods.close()
    expect(world.clock.pending).toBe(0)
  })
})
