/**
 * `npm run bench`: runs benches, prints a table for each, keeps results and writes the report.
 * Exit codes: 0 done, 1 nothing could be measured, 2 wrong use.
 */
import { join } from 'node:path'
import { checkout } from './against.ts'
import { needsOf } from './bench.ts'
import { benches } from './benches/index.ts'
import { choose } from './choose.ts'
import { describeMachine, machineInWords } from './measure/machine.ts'
import { BenchUsageError, parseOptions, usage } from './options.ts'
import { profile, profiled } from './profile.ts'
import { print } from './report/print.ts'
import { writeReport } from './report/write.ts'
import { hasFigures, loadResults, machinesOf, saveResult } from './result.ts'
import { runBench } from './run-bench.ts'
import { missingPrograms, root } from './testbed/programs.ts'

const resultsFolder = join(root, 'bench/results')
const markdownFile = join(root, 'docs/performance.md')

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}
const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof BenchUsageError)) throw error
  tell(error.message)
  return error.exitCode
})

async function main(args: readonly string[]): Promise<number> {
  const names = benches.map((bench) => bench.name)
  const options = parseOptions(args, names)
  if (options.shouldHelp) {
    say(usage(names))
    return 0
  }
  if (options.report !== undefined) return await reportOnly(options.report)
  const machine = describeMachine()
  const { results: kept } = loadResults(resultsFolder, machine.id) // what lies there wrongly is told now
  const other = options.against === undefined ? undefined : checkout(options.against)
  const chosen = choose(benches, options, other)
  const missing = missingPrograms(
    chosen.flatMap(({ bench }) => [...needsOf(bench), ...Object.keys(bench.without ?? {})]),
  )
  if (missing.length > 0) {
    tell(
      `not installed: ${missing.join(', ')}; bench/peers/install.sh does it (it needs Go, and takes minutes)`,
    )
  }
  if (options.shouldProfile) {
    for (const bench of profiled(
      chosen.map(({ bench }) => bench),
      options.names.length > 0,
      tell,
    )) {
      await profile(bench, options.seconds, join(resultsFolder, 'profiles'), tell)
    }
    return 0
  }
  say(`${machineInWords(machine)}, Node ${process.versions.node}`)
  let [measured, quotable] = [0, 0]
  for (const one of chosen) {
    const before = kept.find(({ bench }) => bench === one.bench.name)
    const result = await runBench(one, options, before, tell)
    say(print(result, options.against))
    if (!hasFigures(result)) {
      tell(`${result.bench}: nothing was measured, so nothing is kept`)
      continue
    }
    measured += 1
    if (options.against !== undefined) continue
    saveResult(resultsFolder, result)
    if (result.isQuotable) quotable += 1
  }
  if (quotable > 0)
    say(`\n${(await writeReport({ resultsFolder, machineId: machine.id, markdownFile })).join('\n')}`)
  return measured > 0 ? 0 : 1
}

async function reportOnly(machineId: string): Promise<number> {
  const machines = machinesOf(resultsFolder)
  if (!machines.includes(machineId)) {
    throw new BenchUsageError(`--report ${machineId}: there are results of ${machines.join(', ')}`)
  }
  say((await writeReport({ resultsFolder, machineId, markdownFile, isAsked: true })).join('\n'))
  return 0
}
