/** What is read out of a posted pod, and patches to it. */
import { describe, expect, it } from 'vitest'
import { applyPatch, PodsError } from '../../../driver-agent/pods/index.ts'
import { parseQuantity } from '../../../driver-agent/pods/quantity.ts'
import { createPodsWorld, executorPod } from '../../helper/pods.ts'

describe('a posted pod', () => {
  const bad: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['no metadata', { spec: executorPod(1).spec }],
    ['no container', { ...executorPod(1), spec: { containers: [] } }],
    ['a name that leaves a folder', { ...executorPod(1), metadata: { name: '../../etc' } }],
    ['a label that is no text', { ...executorPod(1), metadata: { name: 'a', labels: { a: 1 } } }],
    ['another kind', { ...executorPod(1), kind: 'Service' }],
  ]
  it.each(bad)('is refused when it is %s', (_, body) => {
    expect(() => createPodsWorld().pods.create(body)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('is refused when its name is taken', () => {
    const world = createPodsWorld()
    world.post(1)
    expect(() => world.post(1)).toThrow(expect.objectContaining({ code: 'exists' }))
  })

  it('is read from Spark’s container, though a template brings others', () => {
    const world = createPodsWorld()
    const pod = world.post(1, (body) => {
      const [executor] = body.spec.containers
      body.spec.containers.unshift({
        ...(executor as NonNullable<typeof executor>),
        name: 'sidecar',
        env: [],
      })
    })
    expect(world.startOf(pod).pod.env.SPARK_EXECUTOR_ID).toBe('1')
  })

  it('has $(NAME) in its variables replaced as a kubelet does', () => {
    const world = createPodsWorld()
    const pod = world.post(1, (body) => {
      body.spec.containers[0]?.env.push(
        { name: 'URL', value: 'http://$(SPARK_EXECUTOR_POD_IP):1/$(UNKNOWN)/$$(URL)' },
        { name: 'EMPTY' },
      )
    })
    expect(world.startOf(pod).pod.env).toMatchObject({
      URL: 'http://127.64.0.2:1/$(UNKNOWN)/$(URL)',
      EMPTY: '',
    })
  })
})

describe('a quantity', () => {
  const rows: [unknown, number | undefined][] = [
    ['984Mi', 984 * 1024 ** 2],
    ['1', 1],
    ['500m', 0.5],
    ['2G', 2e9],
    ['1.5Gi', 1.5 * 1024 ** 3],
    ['1e3', 1000],
    [2, 2],
    ['', undefined],
    ['Mi', undefined],
    ['-1', undefined],
    ['1 Mi', undefined],
    [null, undefined],
  ]
  it.each(rows)('%s is %s', (text, expected) => {
    expect(parseQuantity(text)).toBe(expected)
  })
})

describe('a patch', () => {
  const target = { metadata: { labels: { a: '1', b: '2' } } }

  it('merges, and null removes', () => {
    const body = { metadata: { labels: { b: null, c: '3' } } }
    expect(applyPatch(target, { is: 'merge', body })).toEqual({ metadata: { labels: { a: '1', c: '3' } } })
    expect(target.metadata.labels.b).toBe('2')
  })

  it('as a list of operations adds, replaces, removes and tests', () => {
    const body = [
      { op: 'test', path: '/metadata/labels/a', value: '1' },
      { op: 'add', path: '/metadata/labels/x~1y', value: '4' },
      { op: 'replace', path: '/metadata/labels/a', value: '5' },
      { op: 'remove', path: '/metadata/labels/b' },
    ]
    expect(applyPatch(target, { is: 'json', body })).toEqual({ metadata: { labels: { a: '5', 'x/y': '4' } } })
  })

  const bad: unknown[] = [
    {},
    [{ op: 'test', path: '/metadata/labels/a', value: '2' }],
    [{ op: 'remove', path: '/metadata/labels/z' }],
    [{ op: 'move', path: '/metadata/labels/a', from: '/metadata/labels/b' }],
    [{ op: 'add', path: '/nowhere/labels/a', value: '1' }],
    [{ op: 'add', path: '', value: {} }],
    [null],
  ]
  it.each(bad)('that cannot be done is refused: %j', (body) => {
    expect(() => applyPatch(target, { is: 'json', body })).toThrow(PodsError)
  })

  it('reaches no prototype', () => {
    const merged = applyPatch({}, { is: 'merge', body: JSON.parse('{"__proto__":{"polluted":"yes"}}') })
    applyPatch(merged, { is: 'merge', body: {} })
    expect(() =>
      applyPatch({}, { is: 'json', body: [{ op: 'add', path: '/__proto__/polluted', value: 'yes' }] }),
    ).toThrow(PodsError)
    expect(() =>
      applyPatch(
        {},
        { is: 'json', body: [{ op: 'add', path: '/constructor/prototype/polluted', value: 'yes' }] },
      ),
    ).toThrow(PodsError)
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
  })

  it('changes labels and annotations of a pod, and nothing else', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    const patched = world.pods.patch('job-1-exec-1', {
      is: 'merge',
      body: {
        metadata: { uid: 'other', name: 'other', labels: { new: 'label' }, annotations: { a: 'b' } },
        status: { phase: 'Succeeded' },
        spec: null,
      },
    })
    expect(patched.metadata).toMatchObject({
      uid: pod.metadata.uid,
      name: 'job-1-exec-1',
      labels: { new: 'label', 'spark-exec-id': '1' },
      annotations: { a: 'b' },
    })
    expect(patched.status.phase).toBe('Pending')
    expect(patched.spec).toEqual(pod.spec)
  })

  it('with labels that are no text is refused', () => {
    const world = createPodsWorld()
    world.post(1)
    const patch = { is: 'merge', body: { metadata: { labels: { a: 1 } } } } as const
    expect(() => world.pods.patch('job-1-exec-1', patch)).toThrow('metadata.labels must be a map of strings')
    expect(() => world.pods.patch('absent', patch)).toThrow(expect.objectContaining({ code: 'absent' }))
  })
})
