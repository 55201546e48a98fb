/**
 * Many endpoints in one process: the load program. Attaches `count` addresses (both classes) at
 * once, tells how long each took, then opens idle streams from each to the others of its process
 * and holds them. One JSON order on the channel, one answer each.
 */
import { randomBytes } from 'node:crypto'
import {
  Endpoint,
  type IncomingStream,
  type LocalSide,
  type StreamHandle,
} from '../../relay/endpoint/index.ts'
import { createPipeDialer } from '../../relay/pipe/dial.ts'
import { systemClock } from '../../relay/time/clock.ts'

export type ToLoad =
  | {
      readonly do: 'attach'
      readonly relays: readonly string[]
      readonly who: readonly { address: string; token: string }[]
    }
  /** So many streams from each address to the next one. */
  | { readonly do: 'open'; readonly each: number }
  | { readonly do: 'memory' }

export interface FromLoad {
  readonly is: 'ready' | 'attached' | 'open' | 'memory'
  /** Ms from the order to each attachment, a class each. */
  readonly attachMs?: readonly number[]
  readonly failures?: readonly string[]
  readonly detached?: number
  readonly opened?: number
  readonly resets?: number
  readonly rssBytes?: number
  readonly heapBytes?: number
  readonly externalBytes?: number
}

const tell = (message: FromLoad): void => void process.send?.(message)
const dialer = createPipeDialer()
const endpoints: { address: string; bulk: Endpoint }[] = []
let opened = 0
let resets = 0
let detached = 0
const failures: string[] = []

class Idle implements LocalSide {
  handle: StreamHandle | undefined
  opened(): void {
    opened += 1
  }
  deliver(): void {}
  ended(): void {}
  writable(): void {}
  reset(): void {
    resets += 1
  }
  closed(): void {}
}

function attach(order: Extract<ToLoad, { do: 'attach' }>): void {
  const beganMs = performance.now()
  const attachMs: number[] = []
  const expected = order.who.length * 2
  const look = (): void => {
    if (attachMs.length + failures.length >= expected) tell({ is: 'attached', attachMs, failures, detached })
  }
  for (const { address, token } of order.who) {
    const incarnation = randomBytes(8).toString('hex')
    const start = (trafficClass: 'urgent' | 'bulk'): Endpoint => {
      let isFirst = true
      const endpoint = new Endpoint({
        class: trafficClass,
        address,
        token: () => token,
        incarnation,
        relays: order.relays,
        dialer,
        clock: systemClock,
        random: Math.random,
        events: {
          incoming: (stream: IncomingStream) => {
            const idle = new Idle()
            idle.handle = stream.accept(idle)
          },
          attached: () => {
            if (!isFirst) return
            isFirst = false
            attachMs.push(performance.now() - beganMs)
            look()
          },
          detached: () => {
            detached += 1
          },
          failed: (error) => {
            failures.push(error.message)
            look()
          },
        },
      })
      endpoint.start()
      return endpoint
    }
    start('urgent')
    endpoints.push({ address, bulk: start('bulk') })
  }
}

async function open(each: number): Promise<void> {
  const expected = opened + endpoints.length * each
  for (const [at, { bulk }] of endpoints.entries()) {
    const to = (endpoints[(at + 1) % endpoints.length] as (typeof endpoints)[number]).address
    for (let i = 0; i < each; i++) {
      const idle = new Idle()
      idle.handle = bulk.open(to, 7, idle)
    }
    // An executor does not open a hundred streams in one turn either.
    await new Promise((resolve) => setImmediate(resolve))
  }
  const deadline = performance.now() + 60_000
  while (opened + resets < expected && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  tell({ is: 'open', opened, resets, detached })
}

process.on('message', (order: ToLoad) => {
  if (order.do === 'attach') attach(order)
  else if (order.do === 'open') void open(order.each)
  else {
    globalThis.gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    tell({
      is: 'memory',
      rssBytes: rss,
      heapBytes: heapUsed,
      externalBytes: external,
      detached,
      opened,
      resets,
    })
  }
})
process.on('disconnect', () => process.exit(0))
tell({ is: 'ready' })
