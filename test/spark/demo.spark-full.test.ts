/** `npm run demo`, as the README promises it: one command, one answer, and what the run was. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { root, sparkHomeOf, sparkVersions } from './harness.ts'

const LIMIT_MS = 180_000

it('npm run demo ends within 180 s with the right answer, the matrix and what it would have cost', async () => {
  // Whichever suits this Python is there: what is measured is no download.
  for (const version of sparkVersions) sparkHomeOf(version)
  const { SPARK_HOME: _, ...environment } = process.env
  const startedAt = performance.now()
  const demo = spawn('npm', ['run', 'demo'], {
    cwd: root,
    env: { ...environment, PATH: [dirname(process.execPath), environment.PATH].join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const group = -(demo.pid as number)
  const late = setTimeout(() => process.kill(group, 'SIGTERM'), LIMIT_MS)
  onTestFinished(() => {
    clearTimeout(late)
    if (demo.exitCode === null && demo.signalCode === null) process.kill(group, 'SIGKILL')
  })
  const [out, error, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'exit')])
  const tookMs = performance.now() - startedAt
  expect(code, `after ${Math.round(tookMs)} ms:\n${out}\n${error.slice(-3_000)}`).toBe(0)
  expect(tookMs).toBeLessThan(LIMIT_MS)
  expect(out).toMatch(/^executors started +4$/m)
  expect(out).toMatch(/^wall time +\d+\.\d s$/m)
  const [, between = ''] = /^relayed +[\d.]+ MiB, ([\d.]+) MiB of it between executors$/m.exec(out) ?? []
  expect(Number(between)).toBeGreaterThan(200)
  expect(out).toMatch(/^on Lambda +\$0\.\d+ at list price: \d+\.\d GB-s on \S+ and 4 requests, \d+ MB /m)
  expect(matrixOf(out)).toEqual({
    names: ['driver', '1', '2', '3', '4'],
    silent: [],
  })
  expect(out.trimEnd()).toMatch(/\nThe answer is right: the same as computed without Spark\.$/)
})

/** Who stands at the matrix' edges, and which pairs of them said nothing to each other. */
function matrixOf(out: string): { names: readonly string[]; silent: readonly string[] } {
  const lines = out.split('\n')
  const head = lines.findIndex((line) => line.startsWith('MiB from \\ to '))
  const cells = (line = ''): readonly string[] => line.trim().split(/\s{2,}/)
  const names = cells(lines[head]).slice(1)
  const silent = names.flatMap((name, row) => {
    const [own, ...figures] = cells(lines[head + 1 + row])
    expect(own).toBe(name)
    return figures.flatMap((figure, column) =>
      row === column || Number(figure) > 0 ? [] : [`${name} to ${names[column]}: ${figure}`],
    )
  })
  return { names, silent }
}
