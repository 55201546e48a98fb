/**
 * Runs the load generator against a contestant that is up, and answers one sample: what the
 * generator counted, and what each role used meanwhile.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Contestant, Entries } from '../contestants/contestant.ts'
import { NOISE, noiseOf, peaksOf, type Sample, sampleOf } from '../measure/sample.ts'
import { DiedError, type Reading, type Testbed } from './testbed.ts'

export interface LoadOptions {
  readonly case: 'bulk' | 'rpc' | 'block' | 'hold' | 'dial' | 'frozen'
  readonly seconds: number
  readonly warmupS?: number
  readonly streams?: number
  readonly conns?: number
  readonly inflight?: number
  readonly requestBytes?: number
  readonly replyBytes?: number
  /** A request that takes so long or longer is a stall, ms. */
  readonly stallMs?: number
}

/**
 * For what is dear by how often our code ran before, seconds: V8 makes fast what it has run some thousand times. After
 * one second, which is some 900 dials, a dial took 3.0 ms at p99, after ten 1.5 (two runs each); what runs beside Spark
 * runs for minutes, a relay for days.
 */
export const LONG_WARMUP_S = 10

/** Longer than any window: then something hangs. */
const LIMIT_MS = 120_000

export async function runLoad(bed: Testbed, entries: Entries, options: LoadOptions): Promise<Sample> {
  const load = bed.start('load', 'bench-load', [...waysOf(entries), ...argumentsOf(options)], {
    stdio: 'pipes',
  })
  const { stdin, stdout } = load
  if (stdin === null || stdout === null) throw new Error('the load has no pipes')
  stdin.on('error', () => {}) // it has died: told by its missing result
  const watchdog = setTimeout(() => load.kill('SIGKILL'), LIMIT_MS)
  const marks = new Map<string, Reading>()
  let result: Record<string, number> | undefined
  const ended = once(load, 'exit')
  try {
    for await (const line of createInterface({ input: stdout })) {
      const name = /^mark (\w+)$/.exec(line)?.[1]
      if (name === undefined) result = JSON.parse(line) as Record<string, number>
      else {
        marks.set(name, bed.read())
        stdin.write('\n')
      }
    }
    await ended
  } finally {
    clearTimeout(watchdog)
  }
  const start = marks.get('start')
  const end = marks.get('end')
  if (result === undefined || start === undefined || end === undefined) {
    throw new DiedError(`no result${bed.lastWords()}`)
  }
  bed.assertAlive()
  assertWhole(result, options, () => bed.lastWords())
  // Beside the window there may be another, which it is compared with: neither may be disturbed.
  const readings = [...marks.values()]
  const parts = readings.slice(1).map((reading, at) => sampleOf({}, readings[at] as Reading, reading))
  return { ...sampleOf(result, start, end), ...peaksOf(readings), [NOISE]: noiseOf(...parts) }
}

/**
 * Streams that broke in mid-run, or never arrived, make figures of another load than was asked
 * for. Throws DiedError. Pure but for `lastWords`.
 */
export function assertWhole(
  result: Readonly<Record<string, number>>,
  options: Pick<LoadOptions, 'streams'>,
  lastWords: () => string,
): void {
  const { failed, arrived, servedMib } = result
  const asked = options.streams ?? 0
  if (failed === undefined || arrived === undefined || servedMib === undefined) {
    throw new DiedError('bench-load is older than the bench: run bench/peers/install.sh')
  }
  if (failed > 0) throw new DiedError(`${failed} streams broke in mid-run${lastWords()}`)
  if (arrived < asked) throw new DiedError(`${arrived} of ${asked} streams arrived${lastWords()}`)
}

/** The same on a testbed of its own, with a round trip of so many ms before the receiving endpoint. */
export async function runLoadOver(
  roundTripMs: number,
  beside: Testbed,
  contestant: Contestant,
  options: LoadOptions,
): Promise<Sample> {
  const bed = beside.another({ roundTripMs })
  try {
    return await runLoad(bed, await contestant.start(bed), options)
  } finally {
    await bed.close()
  }
}

/** Who dials where: flags of the load. */
function waysOf({ entries, urgent, sinkPort }: Entries): string[] {
  return flagsOf({ entry: entries.join(','), urgent, sink: `127.0.0.1:${sinkPort}` })
}

/** What the load does, as its flags. Pure. */
export function argumentsOf(options: LoadOptions): string[] {
  return flagsOf({
    case: options.case,
    seconds: options.seconds,
    warmup: options.warmupS,
    streams: options.streams ?? 0,
    conns: options.conns,
    inflight: options.inflight,
    request: options.requestBytes,
    reply: options.replyBytes,
    stall: options.stallMs,
  })
}

function flagsOf(values: Readonly<Record<string, string | number | undefined>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`-${name}`, String(value)],
  )
}
