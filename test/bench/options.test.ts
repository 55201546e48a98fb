import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { benches } from '../../bench/benches/index.ts'
import { everyContestant } from '../../bench/contestants/index.ts'
import { BenchUsageError, parseOptions } from '../../bench/options.ts'

const known = ['bulk-16', 'rpc']

describe('options of the bench', () => {
  it('takes names and flags in any order', () => {
    const options = parseOptions(['rpc', '--runs', '7', '--against', 'HEAD~3', 'bulk-16'], known)
    expect(options).toMatchObject({ names: ['rpc', 'bulk-16'], runs: 7, against: 'HEAD~3', isQuick: false })
  })

  it('runs once when it is quick', () => {
    expect(parseOptions(['--quick'], known)).toMatchObject({ isQuick: true, runs: 1 })
  })

  it('teaches when it is asked to, and runs nothing', async () => {
    expect(parseOptions(['--help'], known).shouldHelp).toBe(true)
    const run = join(import.meta.dirname, '../../bench/run.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [run, '--help'])
    expect(stdout).toMatch(/usage: .*benches: bulk-16, .*example: npm run bench/s)
  })

  it.each([
    ['an unknown bench', ['shuffle']],
    ['an unknown flag', ['--fast']],
    ['a flag without its value', ['--against']],
    ['a number that is none', ['--runs', 'many']],
    ['no runs at all', ['--runs', '0']],
    ['a report beside anything else', ['--report', 'here', 'rpc']],
  ])('refuses %s and lists what there is', (_, args) => {
    expect(() => parseOptions(args, known)).toThrow(BenchUsageError)
    expect(() => parseOptions(args, known)).toThrow(/benches: bulk-16, rpc[\s\S]*--quick/)
  })

  it('ends with 2 for a commit that there is not', async () => {
    const args = [join(import.meta.dirname, '../../bench/run.ts'), 'rpc', '--against', 'no-such-commit']
    await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--against no-such-commit: there is no such commit'),
    })
  })

  it('ends with 2 and the list when it is run with a bench that there is not', async () => {
    const run = promisify(execFile)(process.execPath, [
      join(import.meta.dirname, '../../bench/run.ts'),
      'shuffle',
    ])
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no bench shuffle\n.*\nbenches: bulk-16/),
    })
  })
})

describe('benches', () => {
  it('have names of their own, and ourselves among their contestants', () => {
    expect(new Set(benches.map((bench) => bench.name)).size).toBe(benches.length)
    for (const bench of benches)
      expect(
        bench.contestants.some((one) => one.isOurs),
        bench.name,
      ).toBe(true)
  })

  it('plot one of their columns', () => {
    for (const bench of benches) {
      const keys = bench.columns.map((column) => column.key)
      expect(keys, bench.name).toContain(bench.plot ?? keys[0])
    }
  })

  it('know each contestant by one name', () => {
    expect(new Set(everyContestant.map((one) => one.name)).size).toBe(everyContestant.length)
  })
})
