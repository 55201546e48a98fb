/**
 * `npm run faults`: every row of the fault table at the real times (S 6 s, G 8 s), with checked
 * streams and then with Spark; the load program; generated frames. Writes docs/reliability.md from
 * what it measured, and ends with 1 when something did not hold.
 *
 *     npm run faults -- [--only WORD]... [--without spark|streams|load|frames]... [--frames N] [--spark 4.3.0]
 *
 * Results are kept in .cache/faults.json, so that rows may be run one by one.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { realTimes } from '../test/faults/fleet.ts'
import { runLoad } from '../test/faults/load.ts'
import { rows } from '../test/faults/rows/index.ts'
import { runRow } from '../test/faults/run-row.ts'
import { sparkRows } from '../test/faults/spark-rows.ts'
import { attackWithFrames } from '../test/relay/server/generated-frames.ts'
import { type SparkVersion, sparkVersions } from '../test/spark/harness.ts'
import { type Kept, keptSchema, writeReport } from './faults-report.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const keptFile = `${root}.cache/faults.json`

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    without: { type: 'string', multiple: true, default: [] },
    frames: { type: 'string', default: '10000000' },
    spark: { type: 'string', default: '4.3.0' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const isWanted = (name: string, kind: string): boolean =>
  !values.without.includes(kind) &&
  (values.only.length === 0 || values.only.some((word) => name.includes(word)))

const say = (line: string): void => console.log(line)

function load(): Kept {
  try {
    return keptSchema.parse(JSON.parse(readFileSync(keptFile, 'utf8')))
  } catch {
    return { streams: {}, spark: {}, failures: {} }
  }
}

const kept = load()
let hasFailed = false
function save(): void {
  mkdirSync(`${root}.cache`, { recursive: true })
  writeFileSync(keptFile, JSON.stringify(kept, undefined, 2))
  writeReport(kept)
}

async function attempt(name: string, run: () => Promise<boolean>): Promise<void> {
  say(`== ${name}`)
  try {
    if (!(await run())) hasFailed = true
    delete kept.failures[name]
  } catch (error) {
    hasFailed = true
    kept.failures[name] = (error as Error).message.split('\n').slice(0, 3).join(' ')
    say(`FAILED: ${(error as Error).message}`)
  }
  save()
}

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
      at: new Date().toISOString(),
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
    kept.load = { ...result, failures: [...result.failures], at: new Date().toISOString() }
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
    const result = await attackWithFrames(Number(values.frames), seed)
    kept.frames = {
      sequences: result.sequences,
      frames: result.frames,
      seed,
      faults: [...result.faults],
      at: new Date().toISOString(),
    }
    return result.faults.length === 0
  })
}
const version = sparkVersions.find((one) => one === values.spark) as SparkVersion | undefined
if (version === undefined) throw new Error(`--spark must be one of ${sparkVersions.join(', ')}`)
for (const row of sparkRows) {
  const name = `spark-${row.name}`
  if (!isWanted(name, 'spark')) continue
  await attempt(name, async () => {
    const result = await row.run(version, say)
    kept.spark[row.name] = {
      ...result,
      fault: row.fault,
      means: row.means,
      version,
      at: new Date().toISOString(),
    }
    say(JSON.stringify(result))
    return result.held
  })
}
save()
process.exit(hasFailed ? 1 : 0)
