/**
 * `npm test`: lint, types, then all tests, cheap groups first; under 20 minutes on 2 cores.
 * `npm test -- resume` runs the tests whose file names match. The last line is a count.
 */
import { spawnSync } from 'node:child_process'
import { countTests, runVitest } from './run-vitest.ts'

const filters = process.argv.slice(2)

if (filters.length === 0) {
  step('lint and format', ['node_modules/.bin/biome', 'check', '.'])
  step('types', ['node_modules/.bin/tsc'])
  step('setup', [process.execPath, 'scripts/prepare.ts'])
}
// What only test:full runs is run here when it is asked for by name.
const run = runVitest(filters.length === 0 ? ['--project=!spark-full'] : filters)
const { passed, failed } = countTests(run)
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(run.exitCode)

function step(name: string, [program, ...args]: readonly [string, ...string[]]): void {
  const { status } = spawnSync(program, args, { stdio: 'inherit' })
  if (status === 0) return
  process.stderr.write(`npm test: ${name} failed\n`)
  process.exit(1)
}
