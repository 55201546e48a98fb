/** What watches are told, above all those that were away. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSelector, type WatchEvent } from '../../../driver-agent/pods/index.ts'
import { createPodsWorld, exitedWord } from '../../helper/pods.ts'

describe('a watch', () => {
  it('without a resource version begins with every pod there is', () => {
    const world = createPodsWorld()
    world.post(1)
    world.run(world.post(2))
    expect(
      world.watchAll().map(({ type, object }) => [type, object.metadata.name, object.status.phase]),
    ).toEqual([
      ['ADDED', 'job-1-exec-1', 'Pending'],
      ['ADDED', 'job-1-exec-2', 'Running'],
    ])
  })

  it('with the newest resource version begins with nothing', () => {
    const world = createPodsWorld()
    world.run(world.post(1))
    expect(world.watchAll(world.pods.resourceVersion)).toEqual([])
  })

  it('that was cut during ten ends is told all ten when it comes back', () => {
    const world = createPodsWorld()
    const pods = Array.from({ length: 12 }, (_, number) => world.post(number + 1))
    for (const pod of pods) world.run(pod)
    const seen = world.pods.resourceVersion
    for (const pod of pods.slice(0, 10)) world.end(pod, { why: 'crashed', detail: 'cut' })
    const events = world.watchAll(seen)
    expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual(
      pods.slice(0, 10).map(({ metadata }) => ['DELETED', metadata.name]),
    )
    for (const { object } of events) {
      expect(object.metadata.deletionTimestamp).toBeDefined()
      expect(object.status.phase).toBe('Failed')
    }
  })

  it('that never saw an event, so knows no version, is told of recent ends too', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    world.end(pod, { why: 'crashed', detail: '' })
    expect(world.watchAll()).toMatchObject([
      { type: 'DELETED', object: { metadata: { name: 'job-1-exec-1' } } },
    ])
    world.clock.pass(60_001)
    expect(world.watchAll()).toEqual([])
  })

  it('takes a version that we never gave for none', () => {
    const world = createPodsWorld()
    world.post(1)
    expect(world.watchAll('99999')).toHaveLength(1)
    expect(world.watchAll('garbage')).toHaveLength(1)
  })

  it('keeps at most as many ended pods as it was told to', () => {
    const world = createPodsWorld({ endedKept: 3 })
    const seen = world.pods.resourceVersion
    for (let number = 1; number <= 10; number += 1) {
      const pod = world.post(number)
      world.run(pod)
      world.end(pod, { why: 'crashed', detail: '' })
    }
    expect(world.watchAll(seen === '0' ? '1' : seen).map(({ object }) => object.metadata.name)).toEqual([
      'job-1-exec-8',
      'job-1-exec-9',
      'job-1-exec-10',
    ])
  })

  it('is told DELETED of a pod that its selector no longer takes in, also when it was away', () => {
    const world = createPodsWorld()
    const pod = world.post(1)
    world.run(pod)
    const selector = parseSelector('spark-exec-inactive!=true', undefined)
    const live: WatchEvent[] = []
    const seen = world.pods.resourceVersion
    const stop = world.pods.watch(selector, seen, (event) => live.push(event))
    world.pods.patch('job-1-exec-1', {
      is: 'merge',
      body: { metadata: { labels: { 'spark-exec-inactive': 'true' } } },
    })
    expect(live.map(({ type }) => type)).toEqual(['DELETED'])
    const late: WatchEvent[] = []
    world.pods.watch(selector, seen, (event) => late.push(event))
    expect(late.map(({ type }) => type)).toEqual(['DELETED'])
    stop()
    world.say(pod, exitedWord(1))
    expect(live).toHaveLength(1)
  })

  it('is not told of a pod that came and left its selector while it was away, nor twice of one that left before', () => {
    const world = createPodsWorld()
    const inactive = {
      is: 'merge',
      body: { metadata: { labels: { 'spark-exec-inactive': 'true' } } },
    } as const
    const resume = (seen: string): WatchEvent[] => {
      const events: WatchEvent[] = []
      world.pods.watch(parseSelector('spark-exec-inactive!=true', undefined), seen, (event) =>
        events.push(event),
      )
      return events
    }
    world.post(1)
    const before = world.pods.resourceVersion
    world.post(2)
    world.pods.patch('job-1-exec-2', inactive)
    expect(resume(before)).toEqual([])
    world.pods.patch('job-1-exec-1', inactive)
    const after = world.pods.resourceVersion
    world.pods.patch('job-1-exec-1', { is: 'merge', body: { metadata: { annotations: { a: 'b' } } } })
    expect(resume(after)).toEqual([])
  })

  it('by phase is told DELETED when the phase passes on', () => {
    const world = createPodsWorld()
    const events: WatchEvent[] = []
    world.pods.watch(parseSelector(undefined, 'status.phase=Pending'), undefined, (event) =>
      events.push(event),
    )
    world.run(world.post(1))
    expect(events.at(0)?.type).toBe('ADDED')
    expect(events.at(-1)).toMatchObject({ type: 'DELETED', object: { status: { phase: 'Running' } } })
  })

  it('once stopped is told nothing', () => {
    const world = createPodsWorld()
    const events: WatchEvent[] = []
    const stop = world.pods.watch(parseSelector(undefined, undefined), undefined, (event) =>
      events.push(event),
    )
    stop()
    world.post(1)
    expect(events).toEqual([])
  })

  it('cut and resumed anywhere, shows the same pods in the same phases as one that was never cut', () => {
    const step = fc.record({
      pod: fc.integer({ min: 1, max: 8 }),
      does: fc.constantFrom('post', 'run', 'crash', 'exit', 'delete', 'drain', 'label', 'cut'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = createPodsWorld({ maxExecutors: 5 })
        const whole = new Map<string, string>()
        const broken = new Map<string, string>()
        let seen: string | undefined
        const apply = (view: Map<string, string>, { type, object }: WatchEvent): void => {
          if (type === 'DELETED') view.delete(object.metadata.uid)
          else view.set(object.metadata.uid, JSON.stringify([object.status.phase, object.metadata.labels]))
        }
        world.pods.watch(parseSelector(undefined, undefined), undefined, (event) => apply(whole, event))
        const resume = (): (() => void) =>
          world.pods.watch(parseSelector(undefined, undefined), seen, (event) => {
            apply(broken, event)
            seen = event.object.metadata.resourceVersion
          })
        let stop: (() => void) | undefined = resume()
        for (const { pod: number, does } of steps) {
          const name = `job-1-exec-${number}`
          const pod = world.pods.get(name)
          const started = world.asked.started.some(({ uid }) => uid === pod?.metadata.uid)
          if (does === 'post' && pod === undefined) world.post(number)
          if (does === 'run' && pod !== undefined && started) world.run(pod)
          if (does === 'crash' && pod !== undefined) world.end(pod, { why: 'crashed', detail: '' })
          if (does === 'exit' && pod !== undefined && started) world.say(pod, exitedWord(1))
          if (does === 'delete' && pod !== undefined) world.pods.remove(name)
          if (does === 'drain' && pod !== undefined) world.pods.drain(pod.metadata.uid, 'test')
          if (does === 'label' && pod !== undefined) {
            world.pods.patch(name, { is: 'merge', body: { metadata: { labels: { at: String(seen) } } } })
          }
          if (does === 'cut') {
            if (stop === undefined) stop = resume()
            else {
              stop()
              stop = undefined
            }
          }
        }
        if (stop === undefined) resume()
        expect(broken).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })
})
