/**
 * `npm run faults`: every row of the fault table at the real times (S 6 s, G 8 s), with checked
 * streams and then with Spark; the load program; generated frames. Writes docs/reliability.md from
 * what it measured, and ends with 1 when something did not hold.
 *
 * Results are kept in .cache/faults.json, so that rows may be run one by one. While some of them were
 * never run on this machine the report goes to .cache/reliability.md: the one in docs stays whole.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Option } from 'commander'
import { realTimes } from '../test/faults/fleet.ts'
import { runLoad } from '../test/faults/load.ts'
import { rows } from '../test/faults/rows/index.ts'
import { runRow } from '../test/faults/run-row.ts'
import { sparkRows } from '../test/faults/spark-rows.ts'
import { attackWithFrames } from '../test/relay/server/generated-frames.ts'
import { type SparkVersion, sparkVersions } from '../test/spark/harness.ts'
import { emptyKept, forget, type Kept, keptSchema, notKept, ofMachine, reportOf } from './faults-report.ts'
import { collect, numberFrom, scriptCommand } from './script-command.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const keptFile = `${root}.cache/faults.json`

interface FaultsOptions {
  readonly only: readonly string[]
  readonly without: readonly string[]
  readonly frames: number
  readonly spark: SparkVersion
  readonly seed: number
}

const kinds = ['streams', 'spark', 'load', 'frames'] as const
const command = scriptCommand({
  name: 'faults',
  says: 'Every row of the fault table at the real times, written to docs/reliability.md.',
  example: '-- --only redis --without spark',
})
  .option('--only <word>', 'rows whose name has it; again for more', collect(), [])
  .option('--without <kind>', `leaves out ${kinds.join(', ')}; again for more`, collect(kinds), [])
  .option('--frames <number>', 'generated sequences of frames', numberFrom(1), 10_000_000)
  .addOption(
    new Option('--spark <version>', 'of the rows with Spark').choices(sparkVersions).default('4.3.0'),
  )
  .option('--seed <number>', 'draws the same again', numberFrom(0), Date.now() % 1_000_000)
  .parse()
const { only, without, frames, spark, seed } = command.opts<FaultsOptions>()
const names = [
  ...rows.map(({ name }) => name),
  'load',
  'frames',
  ...sparkRows.map(({ name }) => `spark-${name}`),
]
for (const word of only)
  if (!names.some((name) => name.includes(word)))
    command.error(`error: no row's name has '${word}'; there are ${names.join(', ')}.`, { exitCode: 2 })
const isWanted = (name: string, kind: string): boolean =>
  !without.includes(kind) && (only.length === 0 || only.some((word) => name.includes(word)))
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const machine = hostname()
/** What every result says of itself. */
const seen = (): { readonly at: string; readonly commit: string; readonly machine: string } => ({
  at: new Date().toISOString(),
  commit,
  machine,
})

const say = (line: string): void => console.log(line)

function load(): Kept {
  if (!existsSync(keptFile)) return emptyKept()
  try {
    return ofMachine(keptSchema.parse(JSON.parse(readFileSync(keptFile, 'utf8'))), machine)
  } catch {
    say('.cache/faults.json cannot be read, or is of another version of this script: it is written anew')
    return emptyKept()
  }
}

const kept = load()
let hasFailed = false
function save(): void {
  mkdirSync(`${root}.cache`, { recursive: true })
  writeFileSync(keptFile, JSON.stringify(kept, undefined, 2))
  const isWhole = notKept(kept, names).length === 0
  writeFileSync(`${root}${isWhole ? 'docs' : '.cache'}/reliability.md`, reportOf(kept))
}

async function attempt(name: string, run: () => Promise<boolean>): Promise<void> {
  say(`== ${name}`)
  try {
    if (!(await run())) hasFailed = true
    delete kept.failures[name]
  } catch (error) {
    hasFailed = true
    forget(kept, name)
    const [sentence] = (error as Error).message.split('\n', 1)
    kept.failures[name] = { why: sentence ?? 'an error without words', ...seen() }
    say(`FAILED: ${(error as Error).message}`)
  }
  save()
}

// By exit, so that folders are removed; relays, Redis and endpoints end with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
say(`seed ${seed}`)
for (const row of rows) {
  if (!isWanted(row.name, 'streams')) continue
  await attempt(row.name, async () => {
    const result = await runRow(row.name, { times: realTimes, isLong: true, seed }, say)
    kept.streams[row.name] = {
      ...result,
      checks: [...result.checks],
      figures: { ...result.figures },
      fault: row.fault,
      means: row.means,
      ...seen(),
    }
    return result.checks.every(({ held }) => held)
  })
}
if (isWanted('load', 'load')) {
  await attempt('load', async () => {
    const result = await runLoad(
      { endpoints: 1_000, streams: 100_000, relays: 3, processes: 4, holdMs: 30_000 },
      say,
    )
    kept.load = { ...result, failures: [...result.failures], ...seen() }
    say(JSON.stringify(result))
    return (
      result.failures.length === 0 &&
      result.attach.maxMs < 10_000 &&
      result.resets === 0 &&
      result.detached === 0
    )
  })
}
if (isWanted('frames', 'frames')) {
  await attempt('frames', async () => {
    const result = await attackWithFrames(frames, seed)
    kept.frames = {
      sequences: result.sequences,
      frames: result.frames,
      seed,
      faults: [...result.faults],
      ...seen(),
    }
    return result.faults.length === 0
  })
}
for (const row of sparkRows) {
  const name = `spark-${row.name}`
  if (!isWanted(name, 'spark')) continue
  await attempt(name, async () => {
    const result = await row.run(spark, say)
    kept.spark[row.name] = {
      ...result,
      fault: row.fault,
      means: row.means,
      version: spark,
      ...seen(),
    }
    say(JSON.stringify(result))
    return result.held
  })
}
const missing = notKept(kept, names)
if (missing.length > 0)
  say(
    `.cache/reliability.md; docs/reliability.md stays as it is, for here were never run: ${missing.join(', ')}`,
  )
process.exit(hasFailed ? 1 : 0)
