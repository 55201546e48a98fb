import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { descendants, survivors } from '../spark/processes.ts'

it.each(['SIGTERM', 'SIGINT'] as const)(
  'a run of tests that is ended by %s leaves no busy worker',
  async (signal) => {
    const script = spawn(process.execPath, ['scripts/test.ts', 'test/sim/one-relay.sim'], {
      stdio: 'ignore',
      env: { ...process.env, SLR_SIM_SCHEDULES: '10000000' },
    })
    const ended = once(script, 'exit')
    const below = () => descendants(script.pid as number)
    // vitest and its worker
    await expect.poll(() => below().length, { timeout: 30_000 }).toBeGreaterThanOrEqual(2)
    const started = below()
    onTestFinished(() => {
      for (const { pid } of survivors(started)) process.kill(pid, 'SIGKILL')
    })
    script.kill(signal)
    const exit = await ended
    await expect.poll(() => survivors(started)).toEqual([])
    expect(exit).toEqual([signal === 'SIGTERM' ? 143 : 130, null])
  },
)
