import { describe, expect, it } from 'vitest'
import type { NodeRecord } from '../../../relay/directory/directory.ts'
import { Placement } from '../../../relay/server/placement.ts'
import { Dice } from '../../sim/random.ts'

function record(node: string, over: Partial<NodeRecord> = {}): NodeRecord {
  return {
    node,
    urls: [`tcp://${node}:1`],
    classes: ['urgent', 'bulk'],
    links: 0,
    bytesPerSecond: 0,
    isLeaving: false,
    ...over,
  }
}
const idle = { links: 0, bytesPerSecond: 0, takes: true }

describe('a new endpoint', () => {
  it('stays where it knocks when nobody has clearly more room', () => {
    const placement = new Placement('a', () => 0)
    expect(placement.choose('bulk', { ...idle, links: 10 }, [record('a'), record('b', { links: 10 })])).toBe(
      undefined,
    )
    expect(placement.choose('bulk', idle, [])).toBe(undefined)
    expect(placement.choose('bulk', idle, [record('a')])).toBe(undefined)
  })

  it('is sent to the better of two others', () => {
    const placement = new Placement('a', () => 0)
    const records = [record('b', { links: 9 }), record('c', { links: 3 })]
    expect(placement.choose('bulk', { ...idle, links: 20 }, records)?.node).toBe('c')
  })

  it('counts bytes a second as well as links', () => {
    const placement = new Placement('a', () => 0)
    const busy = record('b', { bytesPerSecond: 500_000_000 })
    expect(placement.choose('bulk', { ...idle, links: 20 }, [busy])).toBe(undefined)
    expect(placement.choose('bulk', { ...idle, links: 200 }, [busy])?.node).toBe('b')
  })

  it('is never sent to a relay that leaves, has no URL, or is not for its class', () => {
    const placement = new Placement('a', () => 0)
    const records = [
      record('b', { isLeaving: true }),
      record('c', { urls: [] }),
      record('d', { classes: ['urgent'] }),
    ]
    expect(placement.choose('bulk', { ...idle, links: 100 }, records)).toBe(undefined)
    expect(placement.choose('urgent', { ...idle, links: 100 }, records)?.node).toBe('d')
  })

  it('is sent on from a relay that does not want its class, however idle that is', () => {
    const placement = new Placement('a', () => 0)
    expect(placement.choose('bulk', { ...idle, takes: false }, [record('b', { links: 50 })])?.node).toBe('b')
  })

  it.each([1, 4])(
    'finds room so that 200 make no relay of four heavier than 1.3 × the mean, knocking at %i',
    (doors) => {
      const nodes = ['a', 'b', 'c', 'd']
      for (let seed = 1; seed <= 200; seed++) {
        const dice = new Dice(seed)
        const links = new Map(nodes.map((node) => [node, 0]))
        const placements = new Map(nodes.map((node) => [node, new Placement(node, dice.next)]))
        let told = nodes.map((node) => record(node))
        for (let i = 0; i < 200; i++) {
          // Records are old by up to a second: 40 come in between.
          if (i % 40 === 39) {
            told = nodes.map((node) => record(node, { links: links.get(node) ?? 0 }))
            for (const placement of placements.values()) placement.tick()
          }
          const door = nodes[Math.floor(dice.next() * doors)] as string
          const own = { ...idle, links: links.get(door) ?? 0 }
          const home = placements.get(door)?.choose('bulk', own, told)?.node ?? door
          links.set(home, (links.get(home) ?? 0) + 1)
        }
        const most = Math.max(...links.values())
        expect([seed, [...links.values()], most <= 65]).toEqual([seed, [...links.values()], true])
      }
    },
  )
})
