import { describe, expect, it } from 'vitest'
import { DirectoryError, type LeaseKey } from '../../../relay/directory/directory.ts'
import { MemoryDirectory } from '../../../relay/directory/memory.ts'
import { Answers } from '../../../relay/server/answers.ts'
import { Joining } from '../../../relay/server/joining.ts'
import { LeaseKeeper } from '../../../relay/server/lease-keeper.ts'
import { defaultRelayLimits } from '../../../relay/server/limits.ts'
import { RelayMetrics } from '../../../relay/server/metrics.ts'
import { NodeContext } from '../../../relay/server/node-context.ts'
import type { RelayLink } from '../../../relay/server/relay-link.ts'
import { Residents } from '../../../relay/server/residents.ts'
import { Retirements } from '../../../relay/server/retirements.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

/** Looked at as often as a node does. */
const TICK_MS = 500

function start() {
  const clock = new ManualClock()
  const directory = new MemoryDirectory({ clock })
  const renewed: string[] = []
  const renew = directory.renew.bind(directory)
  directory.renew = (key: LeaseKey, ...rest) => {
    renewed.push(key.address)
    return renew(key, ...rest)
  }
  const metrics = new RelayMetrics()
  const silent = { info: () => {}, warn: () => {}, error: () => {} }
  const context = new NodeContext({
    node: 'a',
    urls: [],
    clock,
    directory,
    verify: () => Promise.reject(new Error('nobody attaches by a token here')),
    limits: defaultRelayLimits,
    metrics,
    log: silent,
  })
  const retirements = new Retirements(clock)
  const answers = new Answers(metrics)
  const residents = new Residents(context, answers, new Joining(metrics, answers), retirements)
  const leases = new LeaseKeeper(context, residents, retirements)
  const settle = async (address: string): Promise<void> => {
    const who = { app: 'x', address, class: 'bulk', generation: 1, incarnation: 'i', counter: 1 } as const
    const lease = await directory.claim(
      { app: 'x', address, class: 'bulk' },
      { node: 'a', urls: [], generation: 1, incarnation: 'i', counter: 1 },
      defaultRelayLimits.leaseMs,
    )
    residents.settle({} as RelayLink, { ...who, role: 'executor', mode: 'attach' }, lease)
  }
  /** Whose leases were renewed in each of so many ticks. */
  const pass = (ticks: number): string[][] =>
    Array.from({ length: ticks }, () => {
      clock.pass(TICK_MS)
      leases.renewDue()
      return renewed.splice(0)
    })
  return { clock, settle, pass, directory, retirements, leases }
}

describe('renewals', () => {
  const ticksOfAThird = defaultRelayLimits.leaseMs / 3 / TICK_MS

  it('come to each once in a third of a lease, never to all at one time', async () => {
    const { settle, pass } = start()
    for (let n = 0; n < 1_000; n++) await settle(`127.64.${n >> 8}.${n & 255}`)
    const ticks = pass(ticksOfAThird)
    expect(new Set(ticks.flat()).size).toBe(1_000)
    expect(Math.max(...ticks.map((tick) => tick.length))).toBeLessThanOrEqual(101)
  })

  it('come to a single one as often, and to those who attach in between', async () => {
    const { settle, pass } = start()
    await settle('127.64.0.1')
    expect(pass(ticksOfAThird + 1).flat()).toEqual(['127.64.0.1'])
    await settle('127.64.0.2')
    expect(new Set(pass(2 * ticksOfAThird).flat()).size).toBe(2)
  })

  it('begin when somebody is there, not with a debt from before', () => {
    const { pass } = start()
    expect(pass(100).flat()).toEqual([])
  })
})

describe('retirements', () => {
  it('are told until the directory has taken them, each once at a time', async () => {
    const { directory, retirements, leases } = start()
    const told: string[] = []
    let isAway = true
    directory.retire = async (_app, address, generation) => {
      told.push(`${address} ${generation}`)
      if (isAway) throw new DirectoryError('unavailable', 'away')
    }
    retirements.note('x', '127.64.0.2', 3, 'driver')
    for (let times = 0; times < 3; times += 1) {
      leases.tellRetired()
      leases.tellRetired() // the first is still on its way
      await new Promise(setImmediate)
    }
    expect(told).toEqual(Array(3).fill('127.64.0.2 3'))
    isAway = false
    for (let times = 0; times < 3; times += 1) {
      leases.tellRetired()
      await new Promise(setImmediate)
    }
    expect(told).toHaveLength(4)
  })

  it('are told again to a directory that may have forgotten them', async () => {
    const { directory, retirements, leases } = start()
    let told = 0
    directory.retire = async () => {
      told += 1
    }
    retirements.note('x', '127.64.0.2', 3, 'driver')
    leases.tellRetired()
    await new Promise(setImmediate)
    leases.returned()
    expect(told).toBe(2)
  })

  it('are not told back to the directory that said so', async () => {
    const { directory, retirements, leases } = start()
    const heard: number[] = []
    directory.subscribe((change) => {
      if (change.is !== 'retired') return
      heard.push(change.generation)
      if (heard.length > 5) throw new Error('told again and again')
      retirements.note(change.app, change.address, change.generation, 'directory')
    })
    retirements.note('x', '127.64.0.2', 3, 'driver')
    for (let times = 0; times < 3; times += 1) {
      leases.tellRetired()
      await new Promise(setImmediate)
    }
    expect(heard).toEqual([3])
    await directory.retire('x', '127.64.0.3', 1) // by another relay
    leases.tellRetired()
    expect(heard).toEqual([3, 1])
  })

  it('of a later generation are told, whatever was heard of an earlier one', async () => {
    const { directory, retirements, leases } = start()
    const told: number[] = []
    directory.retire = async (_app, _address, generation) => void told.push(generation)
    retirements.note('x', '127.64.0.2', 3, 'directory')
    retirements.note('x', '127.64.0.2', 4, 'driver')
    retirements.note('x', '127.64.0.2', 3, 'directory') // late
    leases.tellRetired()
    expect(told).toEqual([4])
  })

  it('are kept beyond their time for a directory that is away as long', async () => {
    const { clock, directory, retirements, leases } = start()
    const retire = directory.retire.bind(directory)
    directory.retire = async () => {
      throw new DirectoryError('unavailable', 'away')
    }
    retirements.note('x', '127.64.0.2', 3, 'driver')
    const keepHouse = async (): Promise<void> => {
      retirements.sweep()
      leases.tellRetired()
      await new Promise(setImmediate)
    }
    for (let minutes = 0; minutes < 20; minutes += 1) {
      clock.pass(60_000)
      await keepHouse()
    }
    expect(retirements.has('x', '127.64.0.2')).toBe(true)
    directory.retire = retire
    await keepHouse()
    await keepHouse()
    expect(retirements.has('x', '127.64.0.2')).toBe(false)
    const claim = { node: 'b', urls: [], generation: 3, incarnation: 'i', counter: 1 }
    const key = { app: 'x', address: '127.64.0.2', class: 'bulk' } as const
    await expect(directory.claim(key, claim, 1_000)).rejects.toMatchObject({ code: 'retired' })
  })
})

describe('retirements that the directory does not have', () => {
  it('are told once it is back, and by nobody while it is away, however many', async () => {
    const { directory, retirements, leases } = start()
    let told = 0
    let isReachable = false
    Object.defineProperty(directory, 'isReachable', { get: () => isReachable })
    directory.retire = async () => {
      told += 1
    }
    for (let number = 0; number < 8_192; number++) {
      retirements.note('x', `127.64.${number >> 8}.${number & 255}`, 1, 'driver')
      leases.tellRetired()
    }
    expect(told).toBe(0)
    isReachable = true
    leases.returned()
    expect(told).toBe(8_192)
  })
})
