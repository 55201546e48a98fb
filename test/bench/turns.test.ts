import { describe, expect, it } from 'vitest'
import type { Contestant } from '../../bench/contestants/contestant.ts'
import { type TurnOptions, takeTurns } from '../../bench/measure/turns.ts'

const contestant = (name: string): Contestant => ({
  name,
  note: '',
  isOurs: name === 'ours',
  needs: [],
  start: () => Promise.reject(new Error('the test runs nothing')),
})
const contestants = ['ours', 'rival', 'other'].map(contestant)

function options(run: TurnOptions['run'], more: Partial<TurnOptions> = {}): TurnOptions {
  return {
    runs: 3,
    hasWarmup: true,
    noiseCores: 0.15,
    repeats: 2,
    run,
    absence: () => undefined,
    tell: () => {},
    ...more,
  }
}

describe('turns', () => {
  it('takes contestants in turn, each first in one turn and last in the next, after one run that warms up', async () => {
    const order: string[] = []
    await takeTurns(
      { contestants },
      options(async ({ name }, isWarmup) => {
        if (!isWarmup) order.push(name)
        return { mibS: 1, otherCores: 0 }
      }),
    )
    expect(order).toEqual([
      ...['ours', 'rival', 'other'],
      ...['other', 'rival', 'ours'],
      ...['ours', 'rival', 'other'],
    ])
  })

  it('names a rival that dies in mid-run, empties its row, and goes on with the others', async () => {
    let rivalRuns = 0
    const told: string[] = []
    const rows = await takeTurns(
      { contestants },
      options(
        async ({ name }) => {
          if (name === 'rival') {
            rivalRuns += 1
            if (rivalRuns === 3) throw new Error('rival ended with SIGSEGV')
          }
          return { mibS: 100, otherCores: 0 }
        },
        { tell: (line) => told.push(line) },
      ),
    )
    const rival = rows.find((row) => row.name === 'rival')
    expect(rival).toMatchObject({ empty: 'died: rival ended with SIGSEGV', figures: {}, samples: [] })
    expect(told).toEqual(['rival: rival ended with SIGSEGV'])
    expect(rows.find((row) => row.name === 'other')?.samples).toHaveLength(3)
    expect(rivalRuns).toBe(3)
  })

  it('makes a disturbed run again, and says how many of those it kept once no repeat was left', async () => {
    const noise = [0, 0.9, 0.9, 0.9, 0, 0]
    let at = 0
    const rows = await takeTurns(
      { contestants: [contestant('ours')] },
      options(async () => {
        const otherCores = noise[at] ?? 0
        at += 1
        return { mibS: at, otherCores }
      }),
    )
    expect(rows[0]).toMatchObject({ repeated: 2, noisy: 1 })
    expect(rows[0]?.samples).toHaveLength(3)
  })

  it('names an absent rival and never runs it', async () => {
    const ran = new Set<string>()
    const rows = await takeTurns(
      { contestants },
      options(
        async ({ name }) => {
          ran.add(name)
          return { mibS: 1, otherCores: 0 }
        },
        { absence: ({ name }) => (name === 'other' ? 'absent: other is not installed' : undefined) },
      ),
    )
    expect(ran).toEqual(new Set(['ours', 'rival']))
    expect(rows.find((row) => row.name === 'other')?.empty).toBe('absent: other is not installed')
  })

  it('takes a run that does not know what others did for a fault, and not for a quiet one', async () => {
    const rows = await takeTurns(
      { contestants: [contestant('ours')] },
      options(async () => ({ mibS: 1 })),
    )
    expect(rows[0]?.empty).toBe('died: a run does not know what others did')
  })

  it('keeps of a death what the program said of it', async () => {
    const said =
      'bore ended with 1\n  bore: \u001b[32mINFO\u001b[0m listening\nError: Address already in use (os error 98)'
    const rows = await takeTurns(
      { contestants: [contestant('bore')] },
      options(() => Promise.reject(new Error(said))),
    )
    expect(rows[0]?.empty).toBe('died: bore ended with 1: Error: Address already in use (os error 98)')
  })
})
