/** A soak tells a machine that stood still from relays that did. */
import { expect, it, onTestFinished } from 'vitest'
import { StandstillWatch } from './standstill.ts'
import { wait } from './world.ts'

it('tells how long the process got no turn', async () => {
  const told: number[] = []
  const watch = new StandstillWatch((ms) => told.push(ms))
  onTestFinished(() => watch.stop())
  await wait(250)
  for (const since = performance.now(); performance.now() - since < 900; );
  await wait(150)
  expect(watch.longestMs).toBeGreaterThan(750)
  expect(Math.max(...told)).toBe(watch.longestMs)
})
