/** Generated sequences of frames at the relay's parser and tables; SLR_TEST_FRAMES says how many. */
import { expect, it } from 'vitest'
import { attackWithFrames } from './generated-frames.ts'

const sequences = Number(process.env.SLR_TEST_FRAMES ?? 100_000)
const seed = Number(process.env.SLR_TEST_SEED ?? Date.now() % 1_000_000_000)

const title = `${sequences} generated sequences of frames crash nothing, hang nothing, and leave nothing (seed ${seed})`

it(title, { timeout: 60_000 + sequences }, async () => {
  const before = process.memoryUsage().heapUsed
  const result = await attackWithFrames(sequences, seed)
  console.info(JSON.stringify({ seed, ...result }))
  expect(result.faults).toEqual([])
  expect(result.sequences).toBe(sequences)
  expect(result.welcomed).toBeGreaterThan(sequences / 4)
  expect(result.honestBytes).toBeGreaterThan(0)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024)
})
