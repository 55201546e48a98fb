/** One bench from its first run to its result. Used by run.ts. */
import { type Bench, needsOf, Rows } from './bench.ts'
import { type Chosen, isMeant } from './choose.ts'
import type { Contestant } from './contestants/index.ts'
import { describeMachine, readCommit } from './measure/machine.ts'
import { waitUntilQuiet } from './measure/quiet.ts'
import type { Sample } from './measure/sample.ts'
import { takeTurns } from './measure/turns.ts'
import { readVersions } from './measure/versions.ts'
import type { BenchOptions } from './options.ts'
import { lostVerdicts, whyUnquotable } from './quotable.ts'
import { type BenchResult, windowOf } from './result.ts'
import { findProgram, missingPrograms, root } from './testbed/programs.ts'
import { Testbed } from './testbed/testbed.ts'

const REPEATS = 3
/** Window of the run that does not count, s. */
const WARMUP_S = 0.5

type Tell = (line: string) => void

/** `kept`: the quotable result that this one would replace. */
export async function runBench(
  { bench, contestants }: Chosen,
  options: BenchOptions,
  kept: Pick<BenchResult, 'rows'> | undefined,
  tell: Tell,
): Promise<BenchResult> {
  tell(`\n${bench.name}: ${bench.question}`)
  const lacks = Object.entries(bench.without ?? {}).flatMap(([program, what]) =>
    findProgram(program) === undefined ? [`${program} is not installed: no ${what}`] : [],
  )
  for (const one of lacks) tell(`  ${one}`)
  const runs = options.isQuick ? options.runs : Math.max(bench.runs ?? 1, options.runs)
  const rows = await takeTurns(
    { contestants },
    {
      runs,
      noiseCores: options.noiseCores,
      repeats: options.isQuick ? 0 : REPEATS,
      hasWarmup: !options.isQuick,
      tell: (line) => tell(`  ${line}`),
      absence: (contestant) => absenceOf(bench, contestant, options.only),
      run: (contestant, isWarmup) => runOnce(bench, contestant, options, isWarmup),
    },
  )
  const measured = contestants.filter(({ name }) =>
    rows.some((row) => row.name === name && row.empty === undefined),
  )
  const verdicts = bench.judge(new Rows(rows))
  const lost = kept === undefined ? [] : lostVerdicts(verdicts, bench.judge(new Rows(kept.rows)))
  const unquotable = whyUnquotable(options, runs, rows, [...lacks, ...lost])
  return {
    bench: bench.name,
    question: bench.question,
    setup: bench.setup,
    columns: bench.columns,
    plot: bench.plot ?? (bench.columns[0]?.key as string),
    rows,
    verdicts,
    machine: describeMachine(),
    versions: await readVersions(bench, measured),
    commit: readCommit(root),
    at: new Date().toISOString(),
    runs,
    seconds: options.seconds,
    window: windowOf(bench, options.seconds),
    noiseCores: options.noiseCores,
    isQuotable: unquotable.length === 0,
    unquotable,
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

function absenceOf(bench: Bench, contestant: Contestant, only: readonly string[]): string | undefined {
  if (only.length > 0 && !only.some((name) => isMeant(contestant.name, name))) {
    return 'left out of this run (--only)'
  }
  const missing = missingPrograms([...contestant.needs, ...needsOf(bench)])
  return missing.length === 0 ? undefined : `absent: ${missing.join(', ')} is not installed`
}
