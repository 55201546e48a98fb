import { describe, expect, it } from 'vitest'
import { type Bench, type Row, Rows, type Verdict } from '../../bench/bench.ts'
import { cpuShare } from '../../bench/benches/bulk-16.ts'
import { benches } from '../../bench/benches/index.ts'
import { stallsOf } from '../../bench/benches/rpc.ts'
import { shuffledGibOf } from '../../bench/contestants/spark.ts'
import { DiedError } from '../../bench/testbed/testbed.ts'

const named = (name: string): Bench => benches.find((bench) => bench.name === name) as Bench

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
    ['rpc', 'stalls', /no stalls/],
    ['frozen-reader', 'relayPeakGrowthMib', /relay grows/],
    ['frozen-reader', 'receiverPeakGrowthMib', /receiving endpoint grows/],
    ['frozen-reader', 'senderPeakGrowthMib', /sending endpoint grows/],
    ['incast', 'relayPeakAboveIdleMib', /relay ≤ 48/],
  ])('of %s that bound %s are missed by the worst run', (bench, key, goal) => {
    const samples = [0, 0, 0, 0, 100].map((value) => ({ [key]: value }))
    expect(verdict(bench, samples, goal)).toMatchObject({ is: 'missed', says: '100 in the worst of 5 runs' })
  })

  const ten = (of: (at: number) => Readonly<Record<string, number>>) =>
    Array.from({ length: 10 }, (_, at) => of(at))

  it('of scaling compare run by run', () => {
    const drifting = ten((at) => ({ ten: 2 ** at, thousand: 2 ** at * 1.1, two: 2 ** at * 1.2 }))
    expect(verdict('scaling', drifting, /1,000/)?.is).toBe('met')
    expect(verdict('scaling', drifting, /2 relays/)).toMatchObject({
      is: 'missed',
      says: '1.200 ×, quartiles 1.200 to 1.200, 10 pairs',
    })
  })

  it('of scaling are not resolved by nine pairs, nor by pairs whose quartiles lie over 10 % apart', () => {
    const same = ten(() => ({ ten: 1, thousand: 1, two: 1 }))
    expect(verdict('scaling', same.slice(1), /1,000/)).toMatchObject({
      is: 'missed',
      says: expect.stringContaining('unresolved, fewer than 10 pairs'),
    })
    const wide = ten((at) => ({ ten: 1, thousand: at % 2 === 0 ? 0.94 : 1.06, two: 1 }))
    expect(verdict('scaling', wide, /1,000/)).toMatchObject({
      is: 'missed',
      says: expect.stringContaining('unresolved, they lie over 10 % apart'),
    })
    expect(verdict('scaling', wide, /2 relays/)?.is).toBe('met')
  })

  it('of WebSocket compare plain links with plain ones, run by run', () => {
    const row = (name: string, values: readonly number[]): Row => ({
      ...rowOf(values.map((relayCpuSGib) => ({ relayCpuSGib }))),
      name,
    })
    const rows = [row('ours', [1, 2, 4]), row('ours-ws-zero', [1.5, 3, 6]), row('ours-ws', [9, 18, 36])]
    const [zero, tls, real] = named('websocket').judge(new Rows(rows))
    expect(zero).toMatchObject({ is: 'met', says: '1.500 ×, quartiles 1.500 to 1.500, 3 pairs' })
    expect(tls).toMatchObject({ is: 'unknown', says: 'no figure of ours-wss' })
    expect(real).toMatchObject({ is: 'report' })
  })

  it('of bulk name a rival that is absent, and report those that are there', () => {
    const cpu = { relayCpuSGib: 0.4, senderCpuSGib: 0.6, receiverCpuSGib: 0.3 }
    const rathole: Row = { ...rowOf([{ relayCpuSGib: 0.5, receiverCpuSGib: 0.5 }]), name: 'rathole' }
    const absent = 'absent: wstunnel is not installed'
    const wstunnel: Row = { ...rowOf([]), name: 'wstunnel', empty: absent }
    for (const bench of ['bulk-16', 'bulk-1']) {
      const verdicts = named(bench).judge(new Rows([rowOf([cpu]), rathole, wstunnel]))
      const about = (goal: RegExp): Verdict | undefined => verdicts.find((one) => goal.test(one.goal))
      expect(about(/relay CPU .* wstunnel/)).toMatchObject({
        is: 'unknown',
        says: `no figure of wstunnel (${absent})`,
      })
      expect(about(/sending .* rathole/)).toMatchObject({ is: 'report', says: '1.2 × rathole (0.6 to 0.5)' })
      expect(about(/receiving .* rathole/)).toMatchObject({
        is: 'report',
        says: '0.6 × rathole (0.3 to 0.5)',
      })
    }
  })

  it('of bulk-16 say how much of what the CPUs allow was reached', () => {
    const cpu = { relayCpuSGib: 0.5, senderCpuSGib: 0.6, receiverCpuSGib: 0.4, loadCpuSGib: 0.5 }
    expect(cpuShare({ mibS: 512, ...cpu }, 2)).toBeCloseTo(0.5)
    expect(cpuShare({ mibS: 512, relayCpuSGib: 1, loadCpuSGib: 1 }, 2)).toBeCloseTo(0.5)
    expect(cpuShare({ mibS: 512 }, 2)).toBeNaN()
    expect(verdict('bulk-16', [{ cpuShare: 0.9 }], /CPUs allow/)).toMatchObject({ is: 'report', says: '0.9' })
  })

  it('of rpc count a stall whenever it comes', () => {
    expect(stallsOf({ stalls40ms: 1, warmupStalls: 2 })).toBe(3)
    expect(verdict('rpc', [{ stalls: 1 }], /no stalls/)?.is).toBe('missed')
  })

  it('of Spark are of no run that shuffled less than 1 GiB', () => {
    expect(shuffledGibOf(String(1.5 * 2 ** 30))).toBe(1.5)
    for (const text of [String(2 ** 30 - 1), '', 'nothing'])
      expect(() => shuffledGibOf(text)).toThrow(DiedError)
  })

  it('of Spark say the share with the agent as well', () => {
    const samples = [{ shimsCpuS: 2, relayCpuS: 1, agentCpuS: 0.5, jobCpuS: 50, wallS: 1 }]
    expect(verdict('spark-shuffle', samples, /10 % of the job/)?.says).toBe('6.0 %; with the agent 7.0 %')
  })
})
