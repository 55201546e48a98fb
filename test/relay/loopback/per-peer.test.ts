/** The way without ::1: a listener for each peer and port, and an end to it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hasIpv6Loopback } from '../../../relay/loopback/address.ts'
import { Gate } from '../../../relay/loopback/gate.ts'
import { PerPeerListeners } from '../../../relay/loopback/per-peer.ts'
import { freePort, quietLog, World } from './world.ts'

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

describe('listeners per peer', () => {
  it('let the program be bound to its own address on the same port', async () => {
    const port = await freePort()
    await world.lane({ address: '127.64.0.2', ports: [port], listen: 'per-peer', maxPeerListeners: 4 })
    const target = await world.server((socket) => socket.pipe(socket))
    await world.lane({ address: '127.64.0.3', serves: [{ port, target: { host: '::1', port: target } }] })
    const { createServer } = await import('node:net')
    const own = createServer((socket) => socket.end('mine')).listen(port, '127.64.0.2')
    await once(own, 'listening')
    const client = connect({ host: '127.64.0.3', port, allowHalfOpen: true })
    client.end('echo')
    expect((await buffer(client)).toString()).toBe('echo')
    expect((await buffer(connect({ host: '127.64.0.2', port }))).toString()).toBe('mine')
    own.close()
  })

  it('are open for the first addresses, as many as the cap allows, and never for the own', async () => {
    const warnings: string[] = []
    const gate = new Gate({ checkUid: false, onConnection: () => {}, log: quietLog })
    const ports = [await freePort(), await freePort()]
    const listeners = await PerPeerListeners.open({
      gate,
      ports,
      own: '127.64.0.2',
      cap: 7,
      log: { warn: (_fields: unknown, text?: string) => warnings.push(text ?? '') },
    })
    expect(listeners.count).toBe(6)
    for (const host of ['127.64.0.1', '127.64.0.3', '127.64.0.4']) {
      await once(connect({ host, port: ports[0] as number }), 'connect')
    }
    for (const host of ['127.64.0.2', '127.64.0.5']) {
      const [error] = await once(connect({ host, port: ports[0] as number }), 'error')
      expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    }
    expect(warnings.join()).toMatch(/only 3 peers from 127\.64\.0\.1 on/)
    await listeners.ensure('127.64.0.77')
    expect(warnings.at(-1)).toMatch(/every listener is taken/)
    listeners.close()
  })

  it('are refused with the remedy when the cap has no room for one peer', async () => {
    const gate = new Gate({ checkUid: false, onConnection: () => {}, log: quietLog })
    await expect(
      PerPeerListeners.open({ gate, ports: [7077, 7079], own: '127.64.0.2', cap: 1, log: quietLog }),
    ).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/raise the cap, or enable IPv6/),
    })
  })
})

describe('the probe for ::1', () => {
  it('is by the interfaces that there are', () => {
    const lo = { netmask: '', mac: '', internal: true, cidr: null }
    expect(hasIpv6Loopback({ lo: [{ ...lo, address: '127.0.0.1', family: 'IPv4' }] })).toBe(false)
    expect(hasIpv6Loopback({ lo: [{ ...lo, address: '::1', family: 'IPv6', scopeid: 0 }] })).toBe(true)
  })
})
