/**
 * The order of runs: contestants in turn, so that what changes on the machine hits all alike;
 * each begins afresh. A run that others disturbed is made again; a contestant that dies loses
 * its row, and the others go on. Used by run.ts; knows neither processes nor load.
 */
import type { Bench, Row } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { causeOf } from './cause.ts'
import { noiseOf, type Sample } from './sample.ts'
import { summariseSamples } from './statistics.ts'

export interface TurnOptions {
  readonly runs: number
  /** Cores that others may keep busy during a run. */
  readonly noiseCores: number
  /** A first run that does not count. */
  readonly hasWarmup: boolean
  /** Disturbed runs of one contestant that are made again, at most. */
  readonly repeats: number
  /** One run. Rejects when the contestant fails. */
  readonly run: (contestant: Contestant, isWarmup: boolean) => Promise<Sample>
  /** Why a contestant cannot take part, or undefined. */
  readonly absence: (contestant: Contestant) => string | undefined
  readonly tell: (line: string) => void
}

interface Progress {
  readonly contestant: Contestant
  readonly samples: Sample[]
  empty: string | undefined
  repeated: number
  noisy: number
}

export async function takeTurns(bench: Pick<Bench, 'contestants'>, options: TurnOptions): Promise<Row[]> {
  const all: Progress[] = bench.contestants.map((contestant) => {
    const absence = options.absence(contestant)
    return { contestant, samples: [], empty: absence, repeated: 0, noisy: 0 }
  })
  for (const one of all) if (one.empty !== undefined) options.tell(`${one.contestant.name}: ${one.empty}`)
  for (let turn = 0; turn < options.runs; turn += 1) {
    // Who comes first in one turn comes last in the next: nobody always runs on a warm machine.
    for (const one of turn % 2 === 0 ? all : [...all].reverse()) {
      if (one.empty !== undefined) continue
      await takeTurn(one, turn, options)
    }
  }
  return all.map(({ contestant, samples, empty, repeated, noisy }) => ({
    name: contestant.name,
    note: contestant.note,
    isOurs: contestant.isOurs,
    ...(empty === undefined ? {} : { empty }),
    figures: empty === undefined ? summariseSamples(samples) : {},
    samples: empty === undefined ? samples : [],
    repeated,
    noisy,
  }))
}

async function takeTurn(one: Progress, turn: number, options: TurnOptions): Promise<void> {
  const { name } = one.contestant
  try {
    if (turn === 0 && options.hasWarmup) await options.run(one.contestant, true)
    for (;;) {
      const sample = await options.run(one.contestant, false)
      const noise = noiseOf(sample)
      if (noise > options.noiseCores && one.repeated < options.repeats) {
        one.repeated += 1
        options.tell(`${name}: others kept ${noise.toFixed(2)} cores busy, run made again`)
        continue
      }
      if (noise > options.noiseCores) one.noisy += 1
      one.samples.push(sample)
      return
    }
  } catch (error) {
    one.empty = `died: ${causeOf(error instanceof Error ? error.message : String(error))}`
    options.tell(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
