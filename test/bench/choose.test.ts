import { describe, expect, it } from 'vitest'
import type { Bench, Row, Verdict } from '../../bench/bench.ts'
import { benches } from '../../bench/benches/index.ts'
import { choose } from '../../bench/choose.ts'
import { BenchUsageError, parseOptions } from '../../bench/options.ts'
import { allocationOf, profiled } from '../../bench/profile.ts'
import { lostVerdicts, whyUnquotable } from '../../bench/quotable.ts'

const known = benches.map(({ name }) => name)
const wish = (...args: readonly string[]) => parseOptions(args, known)
const named = (name: string): Bench => benches.find((bench) => bench.name === name) as Bench
const chosen = (args: readonly string[], checkout?: string): readonly string[] =>
  choose(benches, wish(...args), checkout).flatMap(({ contestants }) => contestants.map(({ name }) => name))

describe('what runs', () => {
  it('is refused before the first run when --only names nobody of these benches', () => {
    expect(() => chosen(['rpc', '--only', 'ours,haproxi'])).toThrow(BenchUsageError)
    expect(() => chosen(['rpc', '--only', 'haproxi'])).toThrow(/--only haproxi: there are ours, haproxy, /)
    expect(() => chosen(['rpc', 'bulk-16', '--only', 'ours-unix'])).not.toThrow()
  })

  it.each(['tls', 'spark-demo'])('is refused when %s is to be quick: nobody would be left', (name) => {
    expect(() => chosen([name, '--quick'])).toThrow(`${name} has no quick form`)
  })

  it('compares every one of ours with its like at the other commit', () => {
    expect(chosen(['websocket', '--against', 'REF'], '/there')).toEqual([
      ...['ours', 'ours@REF', 'ours-ws-zero', 'ours-ws-zero@REF', 'ours-ws', 'ours-ws@REF'],
      ...['ours-tls', 'ours-tls@REF', 'ours-wss', 'ours-wss@REF'],
    ])
    expect(chosen(['rpc', '--against', 'REF', '--quick', '--only', 'ours'], '/there')).toEqual([
      'ours',
      'ours@REF',
    ])
  })

  it('can be compared in every bench, and runs the code of the other commit', () => {
    for (const { bench, contestants } of choose(benches, wish('--against', 'REF'), '/there')) {
      const other = contestants.find(({ name }) => name.endsWith('@REF'))
      expect(other?.world?.root ?? other?.spark?.root, bench.name).toBe('/there')
    }
  })
})

describe('what may be quoted', () => {
  const ours = { name: 'ours', isOurs: true, figures: { mibS: { median: 1, min: 1, max: 1, runs: 5 } } }
  const rows = [ours as unknown as Row]

  it('is a whole run of nothing less than the defaults', () => {
    expect(whyUnquotable(wish('rpc'), 5, rows)).toEqual([])
  })

  it.each([['--quick'], ['--only', 'ours'], ['--against', 'HEAD'], ['--seconds', '2.9'], ['--noise', '0.2']])(
    'is not a run with %s',
    (...args) => {
      expect(whyUnquotable(wish('rpc', ...args), 5, rows)).not.toEqual([])
    },
  )

  it('is not one of few runs, without figures of ours, or with figures left out', () => {
    expect(whyUnquotable(wish('rpc'), 4, rows)).toEqual(['fewer than 5 runs'])
    expect(whyUnquotable(wish('rpc'), 5, [])).toEqual(['nothing of ours was measured'])
    expect(whyUnquotable(wish('dial'), 5, rows, ['no toxiproxy'])).toEqual(['no toxiproxy'])
  })
})

describe('a kept result', () => {
  const met = (goal: string): Verdict => ({ goal, is: 'met', says: '' })
  const unknown = (goal: string): Verdict => ({ goal, is: 'unknown', says: 'no figure of yamux (died)' })

  it('does not give way to a run in which a rival died that it has', () => {
    expect(lostVerdicts([met('a'), unknown('b')], [met('a'), met('b')])).toEqual([
      'b: no figure of yamux (died), and the kept result has it',
    ])
  })

  it('gives way to one that knows as little as it does', () => {
    expect(lostVerdicts([unknown('a'), met('b')], [unknown('a')])).toEqual([])
    expect(lostVerdicts([unknown('of today')], [met('of before')])).toEqual([])
  })
})

describe('what can be profiled', () => {
  it('is not what Spark starts: refused by name, else left out with a word', () => {
    const told: string[] = []
    expect(profiled([named('spark-shuffle')], false, (line) => told.push(line))).toEqual([])
    expect(told).toEqual([expect.stringMatching(/^spark-shuffle cannot be profiled: /)])
    expect(() => profiled([named('spark-demo')], true, () => {})).toThrow(BenchUsageError)
  })

  it('says no KiB a MiB when nothing was moved, and nothing of a run too short', () => {
    expect(allocationOf([25_600], 100)).toBe("100 KiB/s of V8's heap allocated, 1.0 KiB a MiB")
    for (const none of [0, undefined, Number.NaN])
      expect(allocationOf([25_600], none)).toBe("100 KiB/s of V8's heap allocated")
    expect(allocationOf([], 100)).toMatch(/too short/)
  })
})
