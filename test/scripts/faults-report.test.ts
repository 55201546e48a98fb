import { describe, expect, it } from 'vitest'
import { emptyKept, forget, type Kept, notKept, ofMachine, reportOf } from '../../scripts/faults-report.ts'

const seen = { at: '2026-11-27T00:00:00.000Z', commit: 'abc1234', machine: 'here' }
const frames = { ...seen, sequences: 10, frames: 100, seed: 1, faults: [] }

function streamRow(machine: string): Kept['streams'][string] {
  return {
    ...seen,
    machine,
    row: 'rolling',
    fault: 'SIGTERM each relay in turn',
    means: 'kill',
    checks: [{ what: 'stall', held: true, measured: '400 ms' }],
    streams: 30,
    bytes: 1 << 20,
    stall: { p50: 1, p99: 2, max: 3 },
    figures: {},
  }
}

describe('what faults keeps', () => {
  it('is whole only when every row has a result or a failure', () => {
    const kept: Kept = { ...emptyKept(), streams: { rolling: streamRow('here') }, frames }
    const names = ['rolling', 'load', 'frames', 'spark-rolling']
    expect(notKept(kept, names)).toEqual(['load', 'spark-rolling'])
    kept.failures['spark-rolling'] = { why: 'no Java', ...seen }
    expect(notKept(kept, names)).toEqual(['load'])
  })

  it('is only what this machine has seen', () => {
    const kept: Kept = {
      ...emptyKept(),
      streams: { rolling: streamRow('elsewhere'), blackhole: streamRow('here') },
      frames: { ...frames, machine: 'elsewhere' },
    }
    expect(ofMachine(kept, 'here')).toEqual({ ...emptyKept(), streams: { blackhole: streamRow('here') } })
  })

  it('does not say yes of a row that failed since', () => {
    const kept: Kept = { ...emptyKept(), streams: { rolling: streamRow('here') } }
    expect(reportOf(kept)).toContain('| SIGTERM each relay in turn | kill | yes |')
    forget(kept, 'rolling')
    kept.failures.rolling = { why: 'a relay did not start', ...seen }
    expect(reportOf(kept)).not.toContain('SIGTERM each relay in turn')
    expect(reportOf(kept)).toContain('- rolling: a relay did not start (commit abc1234)')
  })
})
