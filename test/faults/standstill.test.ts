/** A machine that stood still is told from relays, and from endpoints of this process, that did. */
import { spawnSync } from 'node:child_process'
import { expect, it, onTestFinished } from 'vitest'
import { StandstillWatch } from './standstill.ts'
import { wait } from './world.ts'

function watch(): { readonly watch: StandstillWatch; readonly told: number[] } {
  const told: number[] = []
  const started = new StandstillWatch((ms) => told.push(ms))
  onTestFinished(() => started.stop())
  return { watch: started, told }
}

it('tells how long the process got no turn', async () => {
  const { watch: seen, told } = watch()
  await wait(250)
  spawnSync('sleep', ['0.9'])
  await wait(150)
  expect(seen.longestMs).toBeGreaterThan(750)
  expect(Math.max(...told)).toBe(seen.longestMs)
})

it('does not count what the process computes itself', async () => {
  const { watch: seen } = watch()
  await wait(250)
  const busyMs = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  }
  const [since, sinceBusyMs] = [performance.now(), busyMs()]
  while (busyMs() - sinceBusyMs < 1_500);
  const tookMs = performance.now() - since
  await wait(150)
  // Others had turns meanwhile, which count.
  expect(seen.longestMs).toBeLessThan(tookMs - 1_000)
})
