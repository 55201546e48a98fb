/** npm's scripts teach when they are asked to, and run nothing when they are asked for what is not there. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const run = (script: string, ...args: string[]): { status: number | null; out: string; err: string } => {
  const path = join(import.meta.dirname, '../../scripts', `${script}.ts`)
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' })
  return { status, out: stdout, err: stderr }
}

describe.each(['demo', 'faults', 'soak', 'test-full'])('scripts/%s', (script) => {
  it('explains itself with an example', () => {
    const { status, out } = run(script, '--help')
    expect(status).toBe(0)
    expect(out).toMatch(/^Usage: npm run [\s\S]*Example:\n {2}npm run /)
  })

  it('ends with 2 for an option that is not there', () => {
    const { status, out, err } = run(script, '--bogus')
    expect(status).toBe(2)
    expect(`${out}${err}`.trim()).toBe("error: unknown option '--bogus'")
  })
})

it.each([
  ['demo', '--repeat', '0', /from 1 to 1000/],
  ['soak', '--minutes', 'x', /must be a number/],
  ['faults', '--without', 'nothing', /one of streams, spark, load, frames/],
  ['faults', '--spark', '2.4', /Allowed choices are/],
])('%s %s %s ends with 2 and says what is allowed', (script, flag, value, says) => {
  const { status, err } = run(script, flag, value)
  expect(status).toBe(2)
  expect(err).toMatch(says)
})
