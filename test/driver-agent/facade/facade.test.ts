/** The Kubernetes API as Spark sees it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFacade } from '../../../driver-agent/facade/index.ts'
import { readAll, send, startFacadeWorld, TOKEN } from '../../helper/facade.ts'
import { createPodsWorld, executorPod, exitedWord } from '../../helper/pods.ts'

describe('a POST of a pod', () => {
  it('is answered 201 with the pod, Pending, and a watch hears ADDED', async () => {
    const world = await startFacadeWorld()
    const watch = await world.watch()
    const { http, headers, body } = await world.call('pods', { method: 'POST', body: executorPod(1) })
    expect(http).toBe(201)
    expect(headers['content-type']).toBe('application/json')
    expect(body).toMatchObject({
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: {
        name: 'job-1-exec-1',
        namespace: 'spark',
        uid: expect.stringMatching(/.+/),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        labels: executorPod(1).metadata.labels,
      },
      status: { phase: 'Pending' },
    })
    const [first] = await watch.count(1)
    expect(first).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'job-1-exec-1' } } })
  })

  it('is answered 201 while the platform throttles and when the cap is reached', async () => {
    const world = await startFacadeWorld({ maxExecutors: 1 })
    await world.call('pods', { method: 'POST', body: executorPod(1) })
    const uid = world.asked.started[0]?.uid as string
    world.pods.handleFunctionEnd(uid, { why: 'not-started', detail: 'throttled', retryable: true })
    for (const number of [2, 3]) {
      expect((await world.call('pods', { method: 'POST', body: executorPod(number) })).http).toBe(201)
    }
    expect(Object.values(world.phases())).toEqual(['Pending', 'Pending', 'Pending'])
  })

  it('that breaks off in its body is no error of ours in the log', async () => {
    const lines: { level: number; msg: string }[] = []
    const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
    const { pods, clock } = createPodsWorld()
    const facade = await startFacade({ pods, token: TOKEN, logger, clock })
    onTestFinished(() => facade.close())
    const socket = connect(facade.port, '127.0.0.1')
    const head = `POST /api/v1/namespaces/${pods.namespace}/pods HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}`
    socket.write(`${head}\r\ncontent-length: 1000\r\n\r\n{"half":`)
    await expect.poll(() => facade.callsSeen().count).toBe(1)
    socket.destroy()
    await expect.poll(() => lines.length).toBeGreaterThan(0)
    expect(lines.filter(({ level }) => level > 20)).toEqual([])
  })

  it('that is no pod is answered 422, taken 409, no JSON 400, too large 413', async () => {
    const world = await startFacadeWorld()
    const post = (body: unknown) => world.call('pods', { method: 'POST', body })
    expect(await post({ metadata: {} })).toMatchObject({
      http: 422,
      body: { kind: 'Status', reason: 'Invalid' },
    })
    await post(executorPod(1))
    expect(await post(executorPod(1))).toMatchObject({
      http: 409,
      body: { reason: 'AlreadyExists', code: 409 },
    })
    expect(await post('{"half":')).toMatchObject({ http: 400, body: { reason: 'BadRequest' } })
    const large = { ...executorPod(2), padding: 'x'.repeat(3 * 1024 * 1024) }
    expect(await post(large)).toMatchObject({ http: 413, body: { reason: 'RequestEntityTooLarge' } })
    expect(Object.keys(world.phases())).toEqual(['job-1-exec-1'])
  })
})

describe('a list', () => {
  it('has the newest resource version and only what both selectors take in', async () => {
    const world = await startFacadeWorld()
    world.run(world.post(1))
    world.post(2)
    const labels = encodeURIComponent(
      'spark-app-selector=spark-abc,spark-role=executor,spark-exec-inactive!=true',
    )
    const whole = await world.call(`pods?labelSelector=${labels}`)
    expect(whole.body).toMatchObject({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: { resourceVersion: world.pods.resourceVersion },
      items: [{ metadata: { name: 'job-1-exec-1' } }, { metadata: { name: 'job-1-exec-2' } }],
    })
    const pending = await world.call(`pods?labelSelector=${labels}&fieldSelector=status.phase%3DPending`)
    expect(pending.body.items).toMatchObject([{ metadata: { name: 'job-1-exec-2' } }])
    const chosen = await world.call(`pods?labelSelector=${encodeURIComponent('spark-exec-id in (1,9)')}`)
    expect(chosen.body.items).toMatchObject([{ metadata: { name: 'job-1-exec-1' } }])
  })

  it('with a selector that cannot be read is refused', async () => {
    const world = await startFacadeWorld()
    expect(await world.call('pods?labelSelector=a%3Db%3Dc')).toMatchObject({
      http: 400,
      body: { reason: 'BadRequest' },
    })
    expect((await world.call('pods?fieldSelector=spec.x%3Dy')).http).toBe(400)
  })
})

describe('a DELETE', () => {
  it('of a pod answers the pod on its way out, and asks the function to stop', async () => {
    const world = await startFacadeWorld()
    const pod = world.post(1)
    world.run(pod)
    const { http, body } = await world.call('pods/job-1-exec-1', {
      method: 'DELETE',
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' },
    })
    expect(http).toBe(200)
    expect(body).toMatchObject({
      kind: 'Pod',
      metadata: { uid: pod.metadata.uid, deletionTimestamp: expect.stringMatching(/Z$/) },
    })
    expect(world.asked.stopped).toHaveLength(1)
    expect((await world.call('pods/job-1-exec-1')).http).toBe(200)
    world.say(pod, exitedWord(0))
    expect((await world.call('pods/job-1-exec-1')).http).toBe(404)
  })

  it('of a pod that is not there is answered 404', async () => {
    const world = await startFacadeWorld()
    expect(await world.call('pods/absent', { method: 'DELETE' })).toMatchObject({
      http: 404,
      body: { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "absent" not found' },
    })
  })

  it('with gracePeriodSeconds 0 kills, in the body and in the query', async () => {
    const world = await startFacadeWorld()
    for (const number of [1, 2]) world.run(world.post(number))
    await world.call('pods/job-1-exec-1', { method: 'DELETE', body: { gracePeriodSeconds: 0 } })
    await world.call('pods/job-1-exec-2?gracePeriodSeconds=0', { method: 'DELETE' })
    expect(world.asked.killed).toHaveLength(2)
    expect((await world.call('pods/job-1-exec-2?gracePeriodSeconds=soon', { method: 'DELETE' })).http).toBe(
      400,
    )
  })

  it('that names another uid is refused', async () => {
    const world = await startFacadeWorld()
    world.post(1)
    const body = { preconditions: { uid: 'an-older-pod' } }
    expect((await world.call('pods/job-1-exec-1', { method: 'DELETE', body })).http).toBe(409)
    expect(world.asked.stopped).toEqual([])
  })

  it('of the collection takes what the selectors take in, and nothing else', async () => {
    const world = await startFacadeWorld()
    world.run(world.post(1))
    const pending = world.post(2)
    world.post(3, (body) => {
      body.metadata.labels['spark-app-selector'] = 'spark-other'
    })
    const query = 'labelSelector=spark-app-selector%3Dspark-abc&fieldSelector=status.phase%3DPending'
    expect(await world.call(`pods?${query}`, { method: 'DELETE' })).toMatchObject({
      http: 200,
      body: { kind: 'Status', status: 'Success' },
    })
    expect(world.asked.killed).toEqual([pending.metadata.uid])
    expect(world.asked.stopped).toEqual([])
  })

  it('as a rehearsal is refused rather than done', async () => {
    const world = await startFacadeWorld()
    world.post(1)
    expect((await world.call('pods/job-1-exec-1?dryRun=All', { method: 'DELETE' })).http).toBe(400)
    expect((await world.call('pods?dryRun=All', { method: 'POST', body: executorPod(2) })).http).toBe(400)
    expect(Object.keys(world.phases())).toEqual(['job-1-exec-1'])
    expect(world.asked.stopped).toEqual([])
  })
})

describe('a PATCH', () => {
  const types = [
    ['application/merge-patch+json', { metadata: { labels: { 'spark-exec-inactive': 'true' } } }],
    ['application/strategic-merge-patch+json', { metadata: { labels: { 'spark-exec-inactive': 'true' } } }],
    [
      'application/json-patch+json; charset=utf-8',
      [{ op: 'add', path: '/metadata/labels/spark-exec-inactive', value: 'true' }],
    ],
  ] as const
  it.each(types)('of type %s labels a pod', async (type, body) => {
    const world = await startFacadeWorld()
    world.post(1)
    const answer = await world.call('pods/job-1-exec-1', {
      method: 'PATCH',
      headers: { 'content-type': type },
      body,
    })
    expect(answer).toMatchObject({
      http: 200,
      body: { metadata: { labels: { 'spark-exec-inactive': 'true' } } },
    })
    const active = await world.call('pods?labelSelector=spark-exec-inactive%21%3Dtrue')
    expect(active.body.items).toEqual([])
  })

  it('of another type is refused', async () => {
    const world = await startFacadeWorld()
    world.post(1)
    const headers = { 'content-type': 'application/apply-patch+yaml' }
    expect((await world.call('pods/job-1-exec-1', { method: 'PATCH', headers, body: {} })).http).toBe(415)
  })
})

describe('what is no pod', () => {
  it.each(['configmaps', 'services'])('%s are echoed and not kept', async (kind) => {
    const world = await startFacadeWorld()
    const body = { metadata: { name: 'x', labels: { a: 'b' } }, data: { k: 'v' } }
    const echo = await world.call(kind, { method: 'POST', body })
    expect(echo).toMatchObject({
      http: 201,
      body: { metadata: { name: 'x', labels: { a: 'b' } }, data: { k: 'v' } },
    })
    expect((await world.call(kind)).body.items).toEqual([])
    expect((await world.call(`${kind}?labelSelector=a%3Db`, { method: 'DELETE' })).body.status).toBe(
      'Success',
    )
    expect((await world.call(kind, { method: 'POST', body: [] })).http).toBe(422)
  })

  it('persistentvolumeclaims are refused, and their collection is deleted with Success', async () => {
    const world = await startFacadeWorld()
    const body = { metadata: { name: 'x' } }
    expect(await world.call('persistentvolumeclaims', { method: 'POST', body })).toMatchObject({
      http: 422,
      body: { kind: 'Status', message: expect.stringContaining('no persistent volumes') },
    })
    const deleted = await world.call('persistentvolumeclaims?labelSelector=a', { method: 'DELETE' })
    expect(deleted.body).toMatchObject({ kind: 'Status', status: 'Success' })
  })

  const unknown: [string, string, number][] = [
    ['GET', '/', 404],
    ['GET', '/api/v1/nodes', 404],
    ['GET', '/apis/apps/v1/namespaces/spark/statefulsets', 404],
    ['GET', '/api/v1/namespaces/other/pods', 404],
    ['GET', '/api/v1/namespaces/spark/pods/x/log', 404],
    ['GET', '/api/v1/namespaces/spark/secrets', 404],
    ['GET', '/api/v1/namespaces/spark/pods/the-driver', 404],
    ['GET', '/%ZZ', 400],
    ['PUT', '/api/v1/namespaces/spark/pods/x', 405],
    ['POST', '/api/v1/pods', 405],
    ['DELETE', '/api', 405],
    ['GET', '/__proto__', 404],
    ['constructor', '/api/v1/namespaces/spark/pods', 400],
  ]
  it.each(unknown)('%s %s is answered %i', async (method, path, http) => {
    const world = await startFacadeWorld()
    const answer = await send(world.facade.port, path, { method })
    expect(answer.statusCode).toBe(http)
    // Node itself refuses what is no HTTP method, without a body.
    if (method !== 'constructor') {
      expect((await readAll(answer)).body).toMatchObject({ kind: 'Status', status: 'Failure', code: http })
    }
    answer.resume()
  })

  it('answers as much discovery as clients need', async () => {
    const world = await startFacadeWorld()
    expect((await world.call('/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    expect((await world.call('/apis')).body).toMatchObject({ kind: 'APIGroupList', groups: [] })
    expect((await world.call('/api/v1')).body).toMatchObject({ kind: 'APIResourceList' })
    expect((await world.call('/version')).body).toMatchObject({ major: '1' })
    expect((await world.call('/api/v1/namespaces')).body).toMatchObject({
      items: [{ metadata: { name: 'spark' } }],
    })
    expect((await world.call('/api/v1/namespaces/spark')).body).toMatchObject({ kind: 'Namespace' })
    world.post(1)
    expect((await world.call('/api/v1/pods')).body.items).toHaveLength(1)
  })
})

describe('a call that is meant to harm', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

  it.each(['configmaps', 'services'])('of %s, nested a million deep, is answered 400', async (kind) => {
    const world = await startFacadeWorld()
    const post = (depth: number) =>
      world.call(kind, { method: 'POST', body: `{"metadata":{},"data":${nested(depth)}}` })
    expect(await post(1_000_000)).toMatchObject({ http: 400, body: { reason: 'BadRequest', code: 400 } })
    expect((await post(5_000)).http).toBe(400)
    expect((await post(50)).http).toBe(201)
  })

  it('of a pod that no watch could be told of is answered 400, and the watch goes on', async () => {
    const world = await startFacadeWorld()
    const watch = await world.watch()
    const body = JSON.stringify(executorPod(1)).replace('"spec":{', `"spec":{"deep":${nested(100_000)},`)
    expect((await world.call('pods', { method: 'POST', body })).http).toBe(400)
    expect(world.phases()).toEqual({})
    world.post(2)
    const [first] = await watch.count(1)
    expect(first).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'job-1-exec-2' } } })
  })

  it('whose answer cannot be written is answered 500, and the next one is answered', async () => {
    const world = await startFacadeWorld()
    const circle: Record<string, unknown> = {}
    circle.circle = circle
    vi.spyOn(world.pods, 'get').mockReturnValueOnce(circle as never)
    expect(await world.call('pods/x')).toMatchObject({ http: 500, body: { reason: 'InternalError' } })
    expect((await world.call('pods/x')).http).toBe(404)
  })
})

describe('a call without the token', () => {
  const wrong = ['', 'wrong', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase()]
  it.each(wrong)('"%s" is answered 401, is counted, and does nothing', async (token) => {
    const world = await startFacadeWorld()
    const answer = await world.call('pods', { method: 'POST', body: executorPod(1), token })
    expect(answer).toMatchObject({ http: 401, body: { kind: 'Status', reason: 'Unauthorized', code: 401 } })
    expect(answer.headers.connection).toBe('close')
    expect(world.phases()).toEqual({})
    expect(world.facade.callsSeen()).toEqual({ count: 0, lastAtMs: undefined, unauthorised: 1 })
  })

  it('learns nothing of what there is, not even which paths', async () => {
    const world = await startFacadeWorld()
    world.post(1)
    for (const path of ['/', '/api', 'pods', 'pods/job-1-exec-1', 'pods?watch=true']) {
      expect((await world.call(path, { token: 'wrong' })).http).toBe(401)
    }
    const headers = { upgrade: 'websocket', connection: 'Upgrade' }
    expect((await world.call('pods?watch=true', { token: 'wrong', headers })).http).toBe(401)
    const basic = { authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}` }
    expect((await world.call('pods', { token: '', headers: basic })).http).toBe(401)
  })

  it('cannot be made a facade with a token that is easily guessed', async () => {
    const { pods, clock } = createPodsWorld()
    const started = startFacade({ pods, clock, token: 'short', logger: pino({ level: 'silent' }) })
    await expect(started).rejects.toThrow('16 characters')
  })
})

describe('the facade', () => {
  it('has room for whoever has the token, however many connections others hold', async () => {
    const world = await startFacadeWorld()
    const idle = Array.from({ length: 600 }, () =>
      connect(world.facade.port, '127.0.0.1').on('error', () => {}),
    )
    onTestFinished(() => {
      for (const socket of idle) socket.destroy()
    })
    await Promise.all(idle.slice(-50).map((socket) => once(socket, 'connect')))
    const began = performance.now()
    expect((await world.call('pods')).http).toBe(200)
    expect(performance.now() - began).toBeLessThan(10_000) // or never
    const closed = (): number => idle.filter((socket) => socket.destroyed || socket.readableEnded).length
    await expect.poll(closed).toBeGreaterThan(90)
  })

  it('knows when it was last called', async () => {
    const world = await startFacadeWorld()
    expect(world.facade.callsSeen()).toEqual({ count: 0, lastAtMs: undefined, unauthorised: 0 })
    world.clock.pass(5_000)
    await world.call('pods')
    expect(world.facade.callsSeen()).toEqual({ count: 1, lastAtMs: 6_000, unauthorised: 0 })
  })

  it('listens on 127.0.0.1 only', async () => {
    const world = await startFacadeWorld()
    const socket = connect(world.facade.port, '127.0.0.2')
    await expect(once(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('closes though watches are open', async () => {
    const world = await startFacadeWorld()
    const watch = await world.watch()
    await world.facade.close()
    await watch.ended
  })
})
