/** Watches of the Kubernetes API: what they hear, how they end, and whom they harm. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFacade } from '../../../driver-agent/facade/index.ts'
import { systemClock } from '../../../relay/time/clock.ts'
import { send, startFacadeWorld, TOKEN } from '../../helper/facade.ts'
import { createPodsWorld } from '../../helper/pods.ts'

describe('a watch', () => {
  it('that was cut during ten ends is told all of them when it comes back', async () => {
    const world = await startFacadeWorld()
    const pods = Array.from({ length: 10 }, (_, number) => world.post(number + 1))
    for (const pod of pods) world.run(pod)
    const first = await world.watch()
    await first.count(pods.length)
    for (const pod of pods.slice(0, 3)) world.end(pod, { why: 'crashed', detail: '' })
    const before = (await first.count(pods.length + 3)).slice(pods.length)
    first.cut()
    for (const pod of pods.slice(3)) world.end(pod, { why: 'crashed', detail: '' })
    // Of the three ends that were sent the client has read two: it asks for what came after the second.
    const read = before.slice(0, 2)
    const second = await world.watch(`resourceVersion=${read.at(-1)?.object.metadata.resourceVersion}`)
    const events = [...read, ...(await second.count(pods.length - read.length))]
    expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual(
      pods.map(({ metadata }) => ['DELETED', metadata.name]),
    )
  })

  it('sends its headers before there is a pod', async () => {
    const world = await startFacadeWorld()
    const watch = await world.watch('allowWatchBookmarks=true')
    expect(watch.headers['content-type']).toBe('application/json')
    expect(watch.events).toEqual([])
  })

  it('is refused as a WebSocket with 200 and no body, over a connection that then goes on', async () => {
    const world = await startFacadeWorld()
    const socket = connect(world.facade.port, '127.0.0.1')
    const path = '/api/v1/namespaces/spark/pods?watch=true'
    const common = `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n`
    const key = 'Sec-WebSocket-Key: IyogCJp8j7WvSJzE8qT+Ew==\r\nSec-WebSocket-Version: 13\r\n'
    socket.write(`${common}Upgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`)
    const [refusal] = (await once(socket, 'data')) as [Buffer]
    expect(refusal.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(refusal.toString().toLowerCase()).toContain('content-length: 0\r\n')
    expect(refusal.toString()).toMatch(/\r\n\r\n$/)
    world.post(1)
    socket.write(`${common}\r\n`)
    let text = ''
    for await (const chunk of socket) {
      text += String(chunk)
      if (text.includes('\n{"type"') || /\{"type":"ADDED"/.test(text)) break
    }
    expect(text).toContain('"type":"ADDED"')
  })

  it('ends when the client’s timeoutSeconds are over', async () => {
    const world = await startFacadeWorld()
    const watch = await world.watch('timeoutSeconds=30')
    world.clock.pass(30_000)
    await watch.ended
  })

  it('goes on when timeoutSeconds is 0, or more than a timer can count', async () => {
    const { pods } = createPodsWorld()
    const facade = await startFacade({
      pods,
      token: TOKEN,
      logger: pino({ level: 'silent' }),
      clock: systemClock,
    })
    onTestFinished(() => facade.close())
    for (const seconds of [0, 3_000_000]) {
      const path = `/api/v1/namespaces/${pods.namespace}/pods?watch=true&timeoutSeconds=${seconds}`
      const response = await send(facade.port, path)
      let isOver = false
      response.once('close', () => {
        isOver = true
      })
      response.resume()
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(isOver).toBe(false)
    }
  })

  it('that is cut leaves nothing behind', async () => {
    const world = await startFacadeWorld()
    const watchPods = world.pods.watch.bind(world.pods)
    let open = 0
    vi.spyOn(world.pods, 'watch').mockImplementation((...request) => {
      const stop = watchPods(...request)
      open += 1
      return () => {
        open -= 1
        stop()
      }
    })
    const watch = await world.watch('timeoutSeconds=30')
    expect([open, world.clock.pending]).toEqual([1, 1])
    watch.cut()
    while (open > 0 || world.clock.pending > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('whose reader stops reading is cut off, and harms no other', async () => {
    const world = await startFacadeWorld({ maxExecutors: 1 })
    const frozen = await send(world.facade.port, '/api/v1/namespaces/spark/pods?watch=true')
    const gone = once(frozen.socket, 'close')
    const other = await world.watch()
    const padding = 'x'.repeat(200_000)
    for (let number = 1; number <= 200; number += 1) {
      world.post(number, (body) => body.spec.containers[0]?.env.push({ name: 'PADDING', value: padding }))
      await other.count(number)
    }
    frozen.resume()
    frozen.on('error', () => {})
    await gone
    expect(other.events.length).toBeGreaterThanOrEqual(200)
  })

  it('asked for initial events as a stream is refused, so that clients list first', async () => {
    const world = await startFacadeWorld()
    expect((await world.call('pods?watch=true&sendInitialEvents=true')).http).toBe(422)
  })
})
