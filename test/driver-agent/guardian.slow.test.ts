/** What is left of a run whose agent was killed: nothing, for every process carries its mark. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { markedProcesses, RUN_MARK } from '../../driver-agent/guardian.ts'

const children: ChildProcess[] = []
let dir: string | undefined
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true })
})

function marked(run: string): ChildProcess {
  // In a session of its own, as a daemon: no death of a parent would reach it.
  const child = spawn('sleep', ['300'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, [RUN_MARK]: run },
  })
  children.push(child)
  return child
}

/** A process that starts the guardian as the agent does, and waits. */
async function agentWith(run: string, folder: string, then: string): Promise<ChildProcess> {
  const guardian = new URL('../../driver-agent/guardian.ts', import.meta.url).href
  const script = `import { startGuardian } from '${guardian}'
    const guardian = startGuardian('${run}', ['${folder}'])
    ${then}
    setInterval(() => {}, 1000); console.log('up')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

describe('the guardian', () => {
  it('ends every process of the run and removes its folder when the agent is killed', async () => {
    dir = mkdtempSync(join(tmpdir(), 'slr-guardian-'))
    const run = `test-${process.pid}-a`
    const [left, foreign] = [marked(run), marked(`${run}b`)]
    const agent = await agentWith(run, dir, '')
    agent.kill('SIGKILL')
    await once(left, 'exit')
    const deadline = performance.now() + 10_000
    while (existsSync(dir) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(existsSync(dir)).toBe(false)
    expect(foreign.exitCode ?? foreign.signalCode).toBeNull()
  })

  it('touches nothing once it was dismissed', async () => {
    dir = mkdtempSync(join(tmpdir(), 'slr-guardian-'))
    const run = `test-${process.pid}-c`
    const left = marked(run)
    const agent = await agentWith(run, dir, 'guardian.dismiss()')
    agent.kill('SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect(existsSync(dir)).toBe(true)
    expect(left.exitCode ?? left.signalCode).toBeNull()
  })

  it('finds processes by their whole mark', async () => {
    const run = `test-${process.pid}-d`
    const child = marked(run)
    marked(`${run}-longer`)
    await once(child, 'spawn').catch(() => {})
    expect(markedProcesses(RUN_MARK, run)).toEqual([child.pid])
  })
})
