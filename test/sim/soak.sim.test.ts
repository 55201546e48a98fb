/**
 * Random faults in a row cost no stream, and soon after the last one bytes flow again. The same ones each
 * time, so that a change is judged by what it did; `SLR_SIM_SEED` looks for others, `SLR_SIM_SCHEDULES`
 * says how many schedules all sim tests have.
 */
import { expect, it } from 'vitest'
import { patienceMs, total } from './hold-schedules.ts'
import { GRACE_MS, SILENCE_MS, SimSoak } from './soak.ts'

/** A soak costs as much as forty schedules. */
const SHARE = 0.004
const FAULTS = 5
const seed = Number(process.env.SLR_SIM_SEED ?? 1)

it(
  'faults in a row cost no stream, and soon after the last one bytes flow again',
  async () => {
    const runs = Math.ceil(total * SHARE)
    process.stdout.write(`soak: SLR_SIM_SEED=${seed}, ${runs} runs\n`)
    const longest: number[] = []
    for (let run = 0; run < runs; run++) {
      const { story, wrong, longestMs, longestAfterMs } = await new SimSoak(seed + run).run(FAULTS)
      expect({ seed: seed + run, story, wrong }).toEqual({ seed: seed + run, story, wrong: [] })
      // Found by silence, then a dial or two: grace is over by then, so it was not needed.
      if (longestAfterMs > SILENCE_MS + GRACE_MS)
        expect.fail(`seed ${seed + run}: nothing for ${longestAfterMs} ms after ${JSON.stringify(story)}`)
      longest.push(longestMs)
    }
    longest.sort((a, b) => a - b)
    const at = (part: number): string => (longest[Math.floor(part * (runs - 1))] as number).toFixed(0)
    process.stdout.write(`soak: longest stall of a run p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms\n`)
  },
  patienceMs(SHARE * 40),
)
