/**
 * What the Kubernetes clients of real Sparks sent (test/fixture/recordings), sent again to the
 * facade in the same order, with executors that live as theirs did.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { PodObject } from '../../../driver-agent/pods/index.ts'
import { readAll, send, startFacadeWorld } from '../../helper/facade.ts'
import { exitedWord } from '../../helper/pods.ts'

interface Recorded {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body?: { metadata?: { name: string }; spec?: { containers: { env: unknown[] }[] } }
}

function readRecording(name: string): Recorded[] {
  const path = new URL(`../../fixture/recordings/spark-${name}.jsonl`, import.meta.url)
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Recorded)
}

/** As it was sent, but for what the connection of this test decides itself. */
function resend(port: number, { method, url, headers, body }: Recorded) {
  const kept = Object.entries(headers).filter(([name]) => name !== 'host' && name !== 'content-length')
  return send(port, url, { method, headers: Object.fromEntries(kept), body })
}

describe.each(['3.5.7', '4.3.0'])('what Spark %s sent', (version) => {
  const recording = readRecording(version)

  it('holds the calls that this test is about', () => {
    const methods = recording.map(({ method }) => method)
    expect(methods.filter((method) => method === 'POST')).toHaveLength(3)
    expect(methods).toContain('DELETE')
    expect(recording[0]?.headers.upgrade).toBe('websocket')
  })

  it('is answered as that Spark needs it, from the first watch to the stop', async () => {
    const world = await startFacadeWorld({ namespace: 'lambda', maxExecutors: 3 })
    const events: { type: string; object: PodObject }[] = []
    const listed: number[] = []
    for (const call of recording) {
      const response = await resend(world.facade.port, call)
      const isWatch = call.url.includes('watch=true')
      expect(response.statusCode, call.url).toBe(call.method === 'POST' ? 201 : 200)
      if (call.headers.upgrade !== undefined) {
        expect(response.headers['content-length']).toBe('0')
        response.resume()
      } else if (isWatch) {
        response.setEncoding('utf8')
        // Each event is written at once, so lines come whole.
        response.on('data', (text: string) => {
          for (const line of text.trim().split('\n')) events.push(JSON.parse(line))
        })
        response.on('error', () => {})
      } else {
        const { body } = await readAll(response)
        if (call.method === 'POST') {
          const pod = body as unknown as PodObject
          expect(pod.metadata.name).toBe(call.body?.metadata?.name)
          expect(pod.metadata.labels['spark-version']).toBe(version)
          world.run(pod)
        }
        if (call.method === 'GET') listed.push((body.items as unknown[]).length)
        if (call.method === 'DELETE') {
          // Told to go, the executors exit 0.
          for (const { pod, uid } of world.asked.started) {
            world.say(world.pods.get(pod.name) as PodObject, exitedWord(0))
            world.pods.handleFunctionEnd(uid, { why: 'exited', code: 0 })
          }
        }
      }
    }
    // Each poll while the job ran saw three, the list after the stop saw none.
    expect(listed.slice(0, -1).every((count) => count === 3)).toBe(true)
    expect(listed.at(-1)).toBe(0)
    while (events.filter(({ type }) => type === 'DELETED').length < 3) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const { pod } of world.asked.started) {
      const life = events.filter(({ object }) => object.metadata.name === pod.name)
      expect(life[0]).toMatchObject({ type: 'ADDED', object: { status: { phase: 'Pending' } } })
      expect(life.some(({ object }) => object.status.phase === 'Running' && object.status.podIP)).toBe(true)
      expect(life.at(-1)).toMatchObject({ type: 'DELETED', object: { status: { phase: 'Failed' } } })
      expect(life.at(-1)?.object.metadata.deletionTimestamp).toBeDefined()
    }
  })

  it('starts functions with the environment and the size that the pods ask for', async () => {
    const world = await startFacadeWorld({ namespace: 'lambda' })
    const posts = recording.filter(({ method }) => method === 'POST')
    for (const post of posts) (await resend(world.facade.port, post)).resume()
    expect(world.asked.started).toHaveLength(3)
    world.asked.started.forEach((request, index) => {
      const address = `127.64.0.${index + 2}`
      expect(request).toMatchObject({ address, sparkVersion: version })
      expect(request.pod).toMatchObject({ namespace: 'lambda', memoryBytes: 984 * 1024 * 1024, cpus: 1 })
      expect(request.pod.env).toMatchObject({
        SPARK_EXECUTOR_ID: String(index + 1),
        SPARK_EXECUTOR_POD_IP: address,
        SPARK_EXECUTOR_POD_NAME: request.pod.name,
        SPARK_EXECUTOR_MEMORY: '600m',
        SPARK_DRIVER_URL: 'spark://CoarseGrainedScheduler@127.64.0.1:7077',
        _SPARK_AUTH_SECRET: '0'.repeat(64),
      })
      // Every entry is passed on.
      const [container] = posts[index]?.body?.spec?.containers ?? []
      expect(Object.keys(request.pod.env)).toHaveLength(container?.env.length ?? 0)
    })
  })
})

/** A recorded call's namespace, which the facade of the test must serve. */
function namespaceOf(recording: Recorded[]): string {
  return recording[0]?.url.split('/')[4] ?? ''
}

describe.each(['3.5.7', '4.3.0'])('what Spark %s sent without decommissioning', (version) => {
  const recording = readRecording(`${version}-no-decommission`)

  it('asks for the running ones among executors that it has told to go, and is told of them only', async () => {
    const asking = recording.find(({ url }) => url.includes('fieldSelector=status.phase%3DRunning'))
    if (asking === undefined) throw new Error('the recording has no such call')
    const world = await startFacadeWorld({ namespace: namespaceOf(recording) })
    const posts = recording.filter(({ method }) => method === 'POST').slice(0, 2)
    for (const post of posts) await readAll(await resend(world.facade.port, post))
    const ask = async () => (await readAll(await resend(world.facade.port, asking))).body.items as PodObject[]
    const second = world.pods.get(world.asked.started[1]?.pod.name ?? '') as PodObject
    expect(decodeURIComponent(asking.url)).toContain('spark-exec-id in (2)')
    expect(await ask()).toEqual([])
    world.run(second)
    expect((await ask()).map(({ metadata }) => metadata.uid)).toEqual([second.metadata.uid])
    world.say(second, exitedWord(0))
    expect(await ask()).toEqual([])
  })

  it('stops all of them at the end', async () => {
    const world = await startFacadeWorld({ namespace: namespaceOf(recording) })
    const posts = recording.filter(({ method }) => method === 'POST')
    for (const post of posts) {
      const { body } = await readAll(await resend(world.facade.port, post))
      world.run(body as unknown as PodObject)
    }
    for (const call of recording.filter(({ method }) => method === 'DELETE')) {
      expect((await resend(world.facade.port, call)).statusCode).toBe(200)
    }
    expect(world.pods.counts()).toMatchObject({ running: 0, stopping: posts.length })
  })
})

describe.each(['3.5.7', '4.3.0'])('what Spark %s sent to trim surplus pods', (version) => {
  const recording = readRecording(`${version}-trim`)

  it('stops those that are Pending, and leaves the one that runs', async () => {
    const trimming = recording.filter(
      ({ method, url }) => method === 'DELETE' && url.includes('fieldSelector=status.phase%3DPending'),
    )
    expect(trimming.length).toBeGreaterThan(0)
    const world = await startFacadeWorld({ namespace: namespaceOf(recording) })
    const posts = recording.filter(({ method }) => method === 'POST')
    for (const post of posts) await readAll(await resend(world.facade.port, post))
    const running = world.pods.get(world.asked.started[0]?.pod.name ?? '') as PodObject
    world.run(running)
    for (const call of trimming) {
      const answer = await resend(world.facade.port, call)
      expect(answer.statusCode).toBe(200)
      answer.resume()
    }
    expect(world.pods.counts()).toMatchObject({ running: 1, starting: 0, pending: 0 })
    expect(world.asked.killed).not.toContain(running.metadata.uid)
  })
})
