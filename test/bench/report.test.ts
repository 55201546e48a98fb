import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Row, Rows } from '../../bench/bench.ts'
import { ratioGoal } from '../../bench/goals.ts'
import { summariseSamples } from '../../bench/measure/statistics.ts'
import { BenchUsageError } from '../../bench/options.ts'
import { type CpuProfile, flameGraph, framesOf } from '../../bench/report/flame.ts'
import { htmlReport } from '../../bench/report/html.ts'
import { markdownReport } from '../../bench/report/markdown.ts'
import { print } from '../../bench/report/print.ts'
import { terminalTable } from '../../bench/report/table.ts'
import { writeReport } from '../../bench/report/write.ts'
import { type BenchResult, loadResults, saveResult } from '../../bench/result.ts'

const row = (name: string, values: readonly number[], more: Partial<Row> = {}): Row => {
  const samples = values.map((value) => ({ relayCpuSGib: value, mibS: 1_000 * value, otherCores: 0.01 }))
  return {
    name,
    note: `note of ${name}`,
    isOurs: name === 'ours',
    figures: summariseSamples(samples),
    samples,
    repeated: 0,
    noisy: 0,
    ...more,
  }
}

const rows = [
  row('ours', [0.3, 0.4, 0.5]),
  row('haproxy', [0.5, 0.6, 0.7]),
  row('bore', [], { empty: 'died: bore ended with 1' }),
]

function result(more: Partial<BenchResult> = {}): BenchResult {
  return {
    bench: 'bulk-16',
    question: 'What does a relayed GiB cost?',
    setup: '16 streams',
    columns: [
      { key: 'relayCpuSGib', head: 'CPU-s/GiB', digits: 2, better: 'less' },
      { key: 'mibS', head: 'MiB/s', digits: 0, better: 'more' },
    ],
    plot: 'relayCpuSGib',
    rows,
    verdicts: [
      ratioGoal(new Rows(rows), {
        says: '≤ 0.75 × HAProxy',
        key: 'relayCpuSGib',
        rival: 'haproxy',
        atMost: 0.75,
      }),
      ratioGoal(new Rows(rows), { says: '≤ 1 × bore', key: 'relayCpuSGib', rival: 'bore', atMost: 1 }),
    ],
    machine: { id: 'here-2-abc123', cpu: 'Some CPU', cores: 2, memoryGib: 24, kernel: '6.1' },
    versions: { node: '24.0.0', haproxy: 'HAProxy version 2.6' },
    commit: { hash: '0123456789', isDirty: false },
    at: '2026-11-23T04:00:00.000Z',
    runs: 5,
    seconds: 3,
    noiseCores: 0.15,
    isQuotable: true,
    ...more,
  }
}

const folders: string[] = []
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'bench-results-'))
  folders.push(made)
  return made
}
afterEach(() => {
  for (const one of folders.splice(0)) rmSync(one, { recursive: true })
})

describe('goals', () => {
  it('are met or missed by the ratio of medians of the same run', () => {
    expect(result().verdicts[0]).toMatchObject({ is: 'met', says: '0.667 × haproxy (0.4 to 0.6)' })
  })

  it('are not compared with a rival that has no figures', () => {
    expect(result().verdicts[1]?.is).toBe('unknown')
  })
})

describe('the table on the terminal', () => {
  it('shows the median with lowest and highest run, and why a row is empty', () => {
    expect(terminalTable(result())).toBe(
      [
        '                CPU-s/GiB          MiB/s',
        'ours     0.40 (0.30–0.50)  400 (300–500)',
        'haproxy  0.60 (0.50–0.70)  600 (500–700)',
        'bore     died: bore ended with 1',
      ].join('\n'),
    )
  })
})

describe('the report', () => {
  it('holds goals, figures, machine, versions and commit, all out of the result', () => {
    const text = markdownReport([result()], [])
    for (const part of [
      '| bulk-16 | ≤ 0.75 × HAProxy | met | 0.667 × haproxy (0.4 to 0.6) |',
      '| ours | 0.40 (0.30–0.50) | 400 (300–500) |',
      '| bore | died: bore ended with 1 |  |',
      'Some CPU, 2 cores, 24 GiB, Linux 6.1',
      'commit 0123456789; node 24.0.0, HAProxy version 2.6',
    ]) {
      expect(text).toContain(part)
    }
  })

  it('draws a bar for each contestant that has figures', () => {
    const page = htmlReport([result()], [])
    expect(page).toContain('<svg')
    expect(page.match(/<rect[^>]*width="[1-9]/g)).toHaveLength(2)
    expect(page).toContain('note of haproxy')
  })

  it('shows each goal’s commit when results are of several, and where to read of what is missed', () => {
    expect(markdownReport([result()], [])).not.toContain('here | commit |')
    const later = result({ bench: 'rpc', commit: { hash: 'abcdef0123', isDirty: true } })
    const text = markdownReport([result(), later], [])
    expect(text).toContain(
      '| rpc | ≤ 1 × bore | not compared | no figure of bore (died: bore ended with 1) | abcdef0123 with changes |',
    )
    expect(text).toContain('[hot-path.md](hot-path.md)')
  })

  it('tells everywhere what a run measured, with which versions, and what noise was borne', () => {
    const one = result({ window: 'a whole sort each' })
    for (const text of [markdownReport([one], []), htmlReport([one], []), print(one)]) {
      expect(text).toContain('5 runs of a whole sort each, ')
      expect(text).toContain('node 24.0.0, HAProxy version 2.6')
      expect(text).toContain('Disturbed by others (more than 0.15 cores): none.')
    }
    // Results of before do not say it, and today's windows are not theirs.
    expect(markdownReport([result()], [])).toMatch(/^5 runs, 20/m)
  })

  it('shows each goal on the page with verdict and commit, and of a missed one where to read why', () => {
    const goals = [
      { goal: '≤ 1 × bore', is: 'missed', says: '2 × bore' },
      { goal: '≥ yamux', is: 'met', says: '1.1 × yamux' },
    ] as const
    const page = htmlReport([result({ verdicts: goals })], [])
    expect(page).toContain(
      '<td class="missed">missed, <a href="../../../docs/hot-path.md">why</a></td><td>2 × bore</td><td>0123456789</td>',
    )
    expect(page).toContain('<td class="met">met</td><td>1.1 × yamux</td>')
  })

  it('names the machine with what decides over its figures', () => {
    const machine = { ...result().machine, congestionControl: 'cubic', l2Kib: 1024, l3Kib: 32_768 }
    for (const text of [markdownReport([result({ machine })], []), htmlReport([result({ machine })], [])])
      expect(text).toContain('Some CPU, 2 cores, 24 GiB, Linux 6.1, TCP cubic, L2 1024 KiB, L3 32768 KiB.')
  })

  it('does not call a run quiet that does not know', () => {
    const unknown = result({ rows: [row('ours', [1], { samples: [{ relayCpuSGib: 1 }] })] })
    expect(markdownReport([unknown], [])).toContain('What others did meanwhile is not known of every run.')
  })

  it('says which runs were disturbed', () => {
    const noisy = result({ rows: [row('ours', [1, 2, 3], { repeated: 3, noisy: 1 })] })
    expect(markdownReport([noisy], [])).toContain('ours 3 made again, 1 kept')
    expect(htmlReport([noisy], [])).toContain('ours 3 made again, 1 kept')
    expect(terminalTable(noisy)).toContain('ours (1 noisy)')
  })
})

describe('docs/performance.md', () => {
  const writeIn = async (at: string, isAsked: boolean) => {
    const markdownFile = join(at, 'performance.md')
    const says = await writeReport({ resultsFolder: at, machineId: 'here-2-abc123', markdownFile, isAsked })
    return { says: says.join('\n'), text: readFileSync(markdownFile, 'utf8') }
  }

  it('never loses a bench unless it is asked for', async () => {
    const at = folder()
    saveResult(at, result())
    writeFileSync(join(at, 'performance.md'), '## bulk-16\n\n## rpc\n')
    const left = await writeIn(at, false)
    expect(left.text).toBe('## bulk-16\n\n## rpc\n')
    expect(left.says).toMatch(/is left as it is: it would lose rpc \(--report here-2-abc123/)
    expect((await writeIn(at, true)).text).toContain('What does a relayed GiB cost?')
  })

  it('judges figures by the goals of today', async () => {
    const at = folder()
    saveResult(at, result({ verdicts: [{ goal: 'of before', is: 'met', says: '' }] }))
    const { text } = await writeIn(at, false)
    expect(text).not.toContain('of before')
    expect(text).toContain('| relay CPU a GiB ≤ 0.75 × HAProxy | met | 0.667 × haproxy (0.4 to 0.6) |')
  })
})

describe('--against', () => {
  it('divides pair by pair, so that what drifts falls out', () => {
    const both = [row('ours', [2, 4, 8]), row('ours@REF', [1, 2, 4]), row('ours-ws', [1])]
    expect(print(result({ rows: both }), 'REF')).toContain(
      '  ours / ours@REF, CPU-s/GiB: 2.000 ×, quartiles 2.000 to 2.000, 3 pairs\n',
    )
  })
})

describe('results', () => {
  it('without any figure take nobody’s place', () => {
    const at = folder()
    const file = saveResult(at, result()) as string
    const before = readFileSync(file, 'utf8')
    expect(saveResult(at, result({ rows: [row('ours', [], { empty: 'died' })] }))).toBeUndefined()
    expect(readFileSync(file, 'utf8')).toBe(before)
  })

  it('are not looked for in folders without any, such as those of profiles', () => {
    const at = folder()
    saveResult(at, result())
    mkdirSync(join(at, 'profiles/bulk-16'), { recursive: true })
    saveResult(at, result({ isQuotable: false, machine: { ...result().machine, id: 'quick-only' } }))
    expect(loadResults(at, 'here-2-abc123').others).toEqual([])
  })

  it('come back as they were saved, and only those of this machine', () => {
    const at = folder()
    const elsewhere = { ...result().machine, id: 'elsewhere-8-ffffff' }
    saveResult(at, result())
    saveResult(at, result({ machine: elsewhere, bench: 'rpc' }))
    const { results, others } = loadResults(at, 'here-2-abc123')
    expect(results.map(({ bench }) => bench)).toEqual(['bulk-16'])
    expect(others).toEqual(['elsewhere-8-ffffff'])
    expect(markdownReport(results, others)).toContain('left out: elsewhere-8-ffffff')
  })

  it('that may not be quoted never get into the report', () => {
    const at = folder()
    const file = saveResult(at, result({ isQuotable: false })) as string
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ isQuotable: false })
    expect(loadResults(at, 'here-2-abc123').results).toEqual([])
  })

  it('of another machine in this one’s folder are refused by name', () => {
    const at = folder()
    const file = saveResult(at, result()) as string
    writeFileSync(file, readFileSync(file, 'utf8').replace('"here-2-abc123"', '"other-4-000000"'))
    expect(() => loadResults(at, 'here-2-abc123')).toThrow(BenchUsageError)
    expect(() => loadResults(at, 'here-2-abc123')).toThrow(/was made on other-4-000000: move it there$/)
  })
})

describe('flame graphs', () => {
  const frame = (functionName: string) => ({ functionName, url: '/a/relay/link.ts', lineNumber: 9 })
  const cpuProfile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 4] },
      { id: 2, callFrame: frame('read'), children: [3] },
      { id: 3, callFrame: frame('write') },
      { id: 4, callFrame: { functionName: '(idle)', url: '', lineNumber: -1 } },
    ],
    samples: [2, 3, 4],
    timeDeltas: [1_000, 3_000, 90_000],
  }

  it('show the time that a thread was busy, callers above those they call', () => {
    expect(framesOf(cpuProfile).map(({ name, depth, from, to }) => [name, depth, from, to])).toEqual([
      ['(root) relay/link.ts:10', 0, 0, 4],
      ['read relay/link.ts:10', 1, 0, 4],
      ['write relay/link.ts:10', 2, 0, 3],
    ])
  })

  it('are drawn as SVG', () => {
    expect(flameGraph(cpuProfile, 'relay')).toMatch(/^<svg[\s\S]*write relay\/link\.ts:10/)
  })
})
