import { describe, expect, it } from 'vitest'
import { MemoryDirectory } from '../../../relay/directory/memory.ts'
import { describeDirectory } from '../../contract/directory.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

describeDirectory('memory', async () => {
  const clock = new ManualClock()
  // The wall clock goes on over a restart.
  const firstEpoch = (): number => 1_700_000_000_000 + clock.now()
  return {
    directory: new MemoryDirectory({ clock, firstEpoch }),
    passMs: async (ms) => clock.pass(ms),
    emptied: async () => {
      clock.pass(10)
      return new MemoryDirectory({ clock, firstEpoch })
    },
  }
})

describe('memory directory: what it keeps', () => {
  const key = { app: 'a', address: '127.64.0.2', class: 'bulk' } as const
  const claim = { node: 'n', urls: [], incarnation: '0000000000000001', counter: 1 }

  it('forgets retired generations only after their tokens cannot be good any more', async () => {
    const clock = new ManualClock()
    const directory = new MemoryDirectory({ clock, rememberMs: 600_000 })
    await directory.retire('a', '127.64.0.2', 4)
    clock.pass(500_000)
    await expect(directory.claim(key, { ...claim, generation: 4 }, 100)).rejects.toMatchObject({
      code: 'retired',
    })
    clock.pass(700_000)
    await expect(directory.claim(key, { ...claim, generation: 4 }, 100)).resolves.toMatchObject({
      generation: 4,
    })
    await directory.close()
  })

  it('leaves no timer behind when closed', async () => {
    const clock = new ManualClock()
    const directory = new MemoryDirectory({ clock })
    clock.pass(200_000)
    expect(clock.pending).toBe(1)
    await directory.close()
    expect(clock.pending).toBe(0)
  })

  it('says that it began empty when it was made', () => {
    const clock = new ManualClock()
    clock.pass(123)
    expect(new MemoryDirectory({ clock }).emptySinceMs).toBe(clock.now())
  })
})
