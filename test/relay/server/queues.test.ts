import { describe, expect, it } from 'vitest'
import { defaultRelayLimits } from '../../../relay/server/limits.ts'
import type { NodeContext } from '../../../relay/server/node-context.ts'
import { Queues } from '../../../relay/server/queues.ts'
import type { RelayError } from '../../../relay/wire/errors.ts'

const MIB = 1024 * 1024

/** Links with so much queued, each of the application before the dot; real ones take sockets that do not drain. */
function relayWith(queuedMib: Record<string, number>, limits: Partial<typeof defaultRelayLimits> = {}) {
  const closed: Record<string, RelayError> = {}
  const links = Object.entries(queuedMib).map(([name, mib]) => ({
    isUp: true,
    who: { app: name.split('.')[0] },
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

  it('beyond the relay’s limit ends links of the application that has most, not the fullest of another', () => {
    const many = Object.fromEntries(Array.from({ length: 18 }, (_, at) => [`mallory.${at}`, 30 + at]))
    const closed = relayWith({ ...many, 'bob.1': 60, 'carol.1': 5 }, { relayQueueBytes: 600 * MIB })
    // 697 of hers and 65 of others: her four fullest links are 182.
    expect(Object.keys(closed).sort()).toEqual(['mallory.14', 'mallory.15', 'mallory.16', 'mallory.17'])
  })
})
