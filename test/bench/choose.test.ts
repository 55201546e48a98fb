import { describe, expect, it } from 'vitest'
import { type Bench, type Row, Rows } from '../../bench/bench.ts'
import { benches } from '../../bench/benches/index.ts'
import { choose } from '../../bench/choose.ts'
import { BenchUsageError, parseOptions } from '../../bench/options.ts'
import { allocationOf, profiled } from '../../bench/profile.ts'
import { whyUnquotable } from '../../bench/quotable.ts'

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
      ...['ours', 'ours@REF', 'ours-ws', 'ours-ws@REF'],
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

describe('goals', () => {
  const rowOf = (samples: readonly Readonly<Record<string, number>>[]): Row => ({
    name: 'ours',
    note: '',
    isOurs: true,
    figures: Object.fromEntries(
      Object.keys(samples[0] ?? {}).map((key) => {
        const values = samples.map((sample) => sample[key] ?? Number.NaN).sort((a, b) => a - b)
        const [min = 0, max = 0] = [values[0], values.at(-1)]
        return [key, { median: values[values.length >> 1] ?? 0, min, max, runs: values.length }]
      }),
    ),
    samples,
    repeated: 0,
    noisy: 0,
  })
  const verdict = (bench: string, samples: readonly Readonly<Record<string, number>>[], goal: RegExp) =>
    named(bench)
      .judge(new Rows([rowOf(samples)]))
      .find((one) => goal.test(one.goal))

  it.each([
    ['http', 'failed', /no request fails/],
    ['rpc', 'stalls40ms', /no stalls/],
    ['frozen-reader', 'relayGrowthMib', /relay grows/],
    ['incast', 'relayAboveIdleMib', /relay ≤ 48/],
  ])('of %s that bound %s are missed by the worst run', (bench, key, goal) => {
    const samples = [0, 0, 0, 0, 100].map((value) => ({ [key]: value }))
    expect(verdict(bench, samples, goal)).toMatchObject({ is: 'missed', says: '100 in the worst of 5 runs' })
  })

  it('of scaling compare run by run', () => {
    const samples = [1, 2, 4].map((ten) => ({ ten, thousand: ten * 1.1, two: ten * 1.2 }))
    expect(verdict('scaling', samples, /1,000/)?.is).toBe('met')
    expect(verdict('scaling', samples, /2 relays/)?.says).toMatch(/^1\.200 ×, quartiles 1\.200 to 1\.200, 3/)
    // The median of each column says 1.5 here, and no run does.
    const drifting = [
      { ten: 1, thousand: 1, two: 1 },
      { ten: 2, thousand: 2, two: 3 },
      { ten: 4, thousand: 4, two: 4 },
    ]
    expect(verdict('scaling', drifting, /2 relays/)?.is).toBe('met')
  })

  it('of Spark say the share with the agent as well', () => {
    const samples = [{ shimsCpuS: 2, relayCpuS: 1, agentCpuS: 0.5, jobCpuS: 50, wallS: 1 }]
    expect(verdict('spark-shuffle', samples, /10 % of the job/)?.says).toBe('6.0 %; with the agent 7.0 %')
  })
})
