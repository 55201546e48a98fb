/**
 * `npm run bench`: runs benches, prints a table for each, keeps results and writes the report.
 * Exit codes: 0 done, 1 nothing could be measured, 2 wrong use.
 */
import { join } from 'node:path'
import { againstContestants, checkout } from './against.ts'
import type { Bench, Row } from './bench.ts'
import { Rows } from './bench.ts'
import { benches } from './benches/index.ts'
import type { Contestant } from './contestants/index.ts'
import { describeMachine, readCommit, type Versions, versionOf } from './measure/machine.ts'
import { waitUntilQuiet } from './measure/quiet.ts'
import type { Sample } from './measure/sample.ts'
import { takeTurns } from './measure/turns.ts'
import { type BenchOptions, BenchUsageError, parseOptions, usage } from './options.ts'
import { profile } from './profile.ts'
import { terminalTable } from './report/table.ts'
import { writeReport } from './report/write.ts'
import { type BenchResult, saveResult } from './result.ts'
import { findProgram, root } from './testbed/programs.ts'
import { Testbed } from './testbed/testbed.ts'

const resultsFolder = join(root, 'bench/results')
/** Rivals of a quick look. */
const QUICK = new Set(['ours', 'haproxy', 'rathole'])
const REPEATS = 3
/** Window of the run that does not count, s. */
const WARMUP_S = 0.5

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
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
    process.stdout.write(`${usage(names)}\n`)
    return 0
  }
  const other = options.against === undefined ? undefined : checkout(options.against)
  for (const program of ['bench-load', 'toxiproxy-server']) {
    if (findProgram(program) !== undefined) continue
    tell(`${program} is not there: run bench/peers/install.sh first (it needs Go, and takes minutes)`)
    if (program === 'bench-load') return 1
  }
  const wanted = benches.filter((bench) =>
    options.names.length > 0
      ? options.names.includes(bench.name)
      : !options.isQuick || bench.isQuick === true,
  )
  if (options.shouldProfile) {
    for (const bench of wanted) await profile(bench, options.seconds, join(resultsFolder, 'profiles'), tell)
    return 0
  }
  const machine = describeMachine()
  process.stdout.write(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${process.versions.node}\n`,
  )
  let measured = 0
  for (const bench of wanted) {
    const result = await runBench(bench, options, other)
    measured += result.rows.filter((row) => row.empty === undefined).length
    print(result)
    if (options.against === undefined) saveResult(resultsFolder, result)
  }
  if (options.against === undefined && !options.isQuick) {
    const files = await writeReport(resultsFolder, machine.id, root)
    process.stdout.write(`\n${files.join('\n')}\n`)
  }
  return measured > 0 ? 0 : 1
}

async function runBench(
  bench: Bench,
  options: BenchOptions,
  other: string | undefined,
): Promise<BenchResult> {
  tell(`\n${bench.name}: ${bench.question}`)
  const contestants = (
    options.against === undefined || other === undefined
      ? bench.contestants
      : againstContestants(bench, options.against, other)
  ).filter(({ name }) => !options.isQuick || QUICK.has(name))
  const runs = options.isQuick ? options.runs : (bench.runs ?? options.runs)
  const rows = await takeTurns(
    { contestants },
    {
      runs,
      noiseCores: options.noiseCores,
      repeats: options.isQuick ? 0 : REPEATS,
      hasWarmup: !options.isQuick,
      tell: (line) => tell(`  ${line}`),
      absence: (contestant) => absenceOf(contestant, options),
      run: (contestant, isWarmup) => runOnce(bench, contestant, options, isWarmup),
    },
  )
  return {
    bench: bench.name,
    question: bench.question,
    setup: bench.setup,
    columns: bench.columns,
    plot: bench.plot ?? (bench.columns[0]?.key as string),
    rows,
    verdicts: bench.judge(new Rows(rows)),
    machine: describeMachine(),
    versions: versionsOf(contestants, rows),
    commit: readCommit(root),
    at: new Date().toISOString(),
    runs,
    seconds: options.seconds,
    noiseCores: options.noiseCores,
    isQuotable: !options.isQuick && runs >= 5,
  }
}

async function runOnce(
  bench: Bench,
  contestant: Contestant,
  options: BenchOptions,
  isWarmup: boolean,
): Promise<Sample> {
  if (!isWarmup && !options.isQuick) await waitUntilQuiet(options.noiseCores)
  const bed = new Testbed({ roundTripMs: bench.roundTripMs })
  try {
    return await bench.measure(contestant, bed, { seconds: isWarmup ? WARMUP_S : options.seconds })
  } finally {
    await bed.close()
  }
}

function absenceOf(contestant: Contestant, { only }: BenchOptions): string | undefined {
  if (only.length > 0 && !only.includes(contestant.name)) return 'left out of this run (--only)'
  const missing = contestant.needs.filter((program) => findProgram(program) === undefined)
  return missing.length === 0 ? undefined : `absent: ${missing.join(', ')} is not installed`
}

function versionsOf(contestants: readonly Contestant[], rows: readonly Row[]): Versions {
  const versions: Record<string, string> = { node: process.versions.node }
  for (const contestant of contestants) {
    const [program] = contestant.needs
    const isThere = rows.some((row) => row.name === contestant.name && row.empty === undefined)
    if (!isThere || program === undefined || contestant.version === undefined || contestant.isOurs) continue
    const version = versionOf(findProgram(program) as string, contestant.version)
    if (version !== undefined) versions[program] = version
  }
  return versions
}

function print(result: BenchResult): void {
  const stamp = result.isQuotable ? '' : '   NOT QUOTABLE'
  process.stdout.write(`\n${result.bench}: ${result.question}${stamp}\n${terminalTable(result)}\n`)
  for (const verdict of result.verdicts) {
    process.stdout.write(`  ${verdict.is.padEnd(7)}  ${verdict.goal}: ${verdict.says}\n`)
  }
}
