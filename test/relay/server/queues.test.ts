import { describe, expect, it } from 'vitest'
import { defaultRelayLimits } from '../../../relay/server/limits.ts'
import type { NodeContext } from '../../../relay/server/node-context.ts'
import { Queues } from '../../../relay/server/queues.ts'
import type { RelayError } from '../../../relay/wire/errors.ts'

const MIB = 1024 * 1024

/** Links with so much queued; a real one takes sockets that do not drain. */
function relayWith(queuedMib: Record<string, number>, limits: Partial<typeof defaultRelayLimits> = {}) {
  const closed: Record<string, RelayError> = {}
  const links = Object.entries(queuedMib).map(([name, mib]) => ({
    pipe: { queuedBytes: mib * MIB },
    close: (error: RelayError) => {
      closed[name] = error
    },
  }))
  const context = { links: new Set(links), limits: { ...defaultRelayLimits, ...limits } }
  new Queues(context as unknown as NodeContext).check()
  return closed
}

describe('what waits for slow links', () => {
  it('may be all that is allowed', () => {
    expect(relayWith({ a: 50, b: 60 }, { relayQueueBytes: 110 * MIB })).toEqual({})
  })

  it('beyond a link’s own limit ends that link', () => {
    const closed = relayWith({ a: 82, b: 60 }, { linkQueueBytes: 64 * MIB })
    expect(Object.keys(closed)).toEqual(['a'])
    expect(closed.a?.code).toBe('overloaded')
  })

  it('beyond the relay’s limit ends those that have most, as many as it takes, and tells none of them of the others', () => {
    const closed = relayWith({ a: 10, b: 60, c: 50, d: 40, e: 1 }, { relayQueueBytes: 60 * MIB })
    expect(Object.keys(closed).sort()).toEqual(['b', 'c'])
    expect(closed.b?.message).not.toMatch(/\d/)
    expect(closed.b?.cause).toMatchObject({ message: expect.stringContaining('--relay-queue') })
  })
})
