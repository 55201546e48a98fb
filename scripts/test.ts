/**
 * `npm test`: lint, types, then all tests; under 20 minutes on 2 cores. The random schedules need all
 * CPU that there is, the others often wait: schedules run behind them, from the first download on. What
 * measures how long streams stall has the machine to itself, last.
 * `npm test -- resume` runs the tests whose file names match. The last line is a count; what failed
 * stands above it once more, and the wall time. All tests together fail in CI when they took too long.
 */
import { spawnSync } from 'node:child_process'
import { countTests, joinRuns, runVitest, type VitestRun } from './run-vitest.ts'
import { inWords, tooLong } from './wall-time.ts'

const filters = process.argv.slice(2)

if (filters.length === 0) {
  step('lint and format', ['node_modules/.bin/biome', 'check', '.'])
  step('types', ['node_modules/.bin/tsc'])
}
// What only test:full runs is run here when it is asked for by name.
const run = filters.length === 0 ? await runAll() : await runVitest(filters)
const { passed, failed } = countTests(run)
for (const failure of run.failures) process.stdout.write(`\nFAILED: ${failure}\n`)
const tookMs = performance.now() // from the start of this process on
process.stdout.write(`wall time: ${inWords(tookMs)}\n`)
const late = filters.length === 0 ? tooLong(tookMs, process.env) : undefined
if (late !== undefined) process.stdout.write(`npm test: ${late}\n`)
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(late === undefined ? run.exitCode : run.exitCode || 1)

async function runAll(): Promise<VitestRun> {
  const schedules = runVitest(['--project=sim'], { isBackground: true })
  step('setup', [process.execPath, 'scripts/prepare.ts'])
  const first = await runVitest(['--project=fast', '--project=slow'])
  const spark = await runVitest(['--project=spark'])
  const beside = await schedules
  return joinRuns([first, spark, beside, await runVitest(['--project=faults'])])
}

function step(name: string, [program, ...args]: readonly [string, ...string[]]): void {
  const { status } = spawnSync(program, args, { stdio: 'inherit' })
  if (status === 0) return
  process.stderr.write(`npm test: ${name} failed\n`)
  process.exit(1)
}
