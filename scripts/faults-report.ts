/**
 * What `npm run faults` has measured, as it is kept, and docs/reliability.md out of it. Nothing in that is
 * typed by hand. Used by faults.ts.
 */
import { cpus, totalmem } from 'node:os'
import * as z from 'zod'

/** What every result says of itself. */
const seen = { at: z.string(), commit: z.string(), machine: z.string() }

const check = z.object({ what: z.string(), held: z.boolean(), measured: z.string() })
const figures = z.record(z.string(), z.union([z.number(), z.string()]))
const stall = z.object({ p50: z.number(), p99: z.number(), max: z.number() })
const streamRow = z.object({
  row: z.string(),
  fault: z.string(),
  means: z.string(),
  ...seen,
  checks: z.array(check),
  streams: z.number(),
  bytes: z.number(),
  stall,
  figures,
})
const sparkRow = z.object({
  fault: z.string(),
  means: z.string(),
  version: z.string(),
  ...seen,
  held: z.boolean(),
  notes: z.array(z.string()),
  stall,
  failedTasks: z.number(),
  fetchFailures: z.number(),
  rounds: z.number(),
})
const loadResult = z.object({
  ...seen,
  endpoints: z.number(),
  attach: z.object({ p50Ms: z.number(), p99Ms: z.number(), maxMs: z.number(), aSecond: z.number() }),
  failures: z.array(z.string()),
  detached: z.number(),
  skew: z.number(),
  streams: z.number(),
  resets: z.number(),
  relayBytesAnEndpoint: z.number(),
  relayBytesAStream: z.number(),
  endpointBytesAStream: z.number(),
  endpointBytesAnEndpoint: z.number(),
  redisCommandsAStream: z.number(),
})
export const keptSchema = z.object({
  streams: z.record(z.string(), streamRow),
  spark: z.record(z.string(), sparkRow),
  load: loadResult.optional(),
  frames: z
    .object({
      ...seen,
      sequences: z.number(),
      frames: z.number(),
      seed: z.number(),
      faults: z.array(z.string()),
    })
    .optional(),
  /** Rows that ended in an error. */
  failures: z.record(z.string(), z.object({ why: z.string(), ...seen })),
})
export type Kept = z.infer<typeof keptSchema>

export function emptyKept(): Kept {
  return { streams: {}, spark: {}, failures: {} }
}

/** Without what another machine has seen. */
export function ofMachine(kept: Kept, machine: string): Kept {
  const own = <T extends { readonly machine: string }>(all: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(all).filter(([, one]) => one.machine === machine))
  return {
    streams: own(kept.streams),
    spark: own(kept.spark),
    failures: own(kept.failures),
    ...(kept.load?.machine === machine ? { load: kept.load } : {}),
    ...(kept.frames?.machine === machine ? { frames: kept.frames } : {}),
  }
}

/** Of these rows (those with Spark begin with `spark-`), which have neither a result nor a failure. */
export function notKept(kept: Kept, names: readonly string[]): readonly string[] {
  const there = new Set([
    ...Object.keys(kept.streams),
    ...Object.keys(kept.spark).map((name) => `spark-${name}`),
    ...Object.keys(kept.failures),
    ...(kept.load === undefined ? [] : ['load']),
    ...(kept.frames === undefined ? [] : ['frames']),
  ])
  return names.filter((name) => !there.has(name))
}

/** What was seen of this row before it failed is no result any more. */
export function forget(kept: Kept, name: string): void {
  if (name === 'load') delete kept.load
  else if (name === 'frames') delete kept.frames
  else if (name.startsWith('spark-')) delete kept.spark[name.slice('spark-'.length)]
  else delete kept.streams[name]
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const kib = (bytes: number): string => `${Math.round(bytes / 102.4) / 10} KiB`

/** The page. */
export function reportOf(kept: Kept): string {
  const cpu = cpus()
  const lines = [
    '# Reliability: what was broken, and what it cost',
    '',
    'Written by `npm run faults` from what it measured; not by hand. Each row is a fault that was really made, with the means named.',
    '',
    `Machine: ${cpu.length} × ${cpu[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux, Node ${process.versions.node}. Relays, Redis, endpoints and Spark share it. Times as by default: S 6 s, G 8 s.`,
    '',
    '## Checked streams',
    '',
    'Three relays (four where it says so), one redis-server, six endpoints, each a process; streams of both classes between any two, numbered bytes both ways all the time. Stall: the longest time in which a direction of a stream got no byte, over all directions. At the end of each row every byte must have arrived once and in order (offsets and SHA-256 at both ends), and the relays must hold nothing.',
    '',
    '| fault | means | held | stall p50 / p99 / max, ms | what was measured | commit |',
    '| --- | --- | --- | --- | --- | --- |',
  ]
  for (const row of Object.values(kept.streams)) {
    const held = row.checks.every((one) => one.held)
    const told = [
      ...row.checks
        .filter((one) => !one.held || !/once and in order|is left at the relays/.test(one.what))
        .map((one) => `${one.held ? '' : 'NOT HELD: '}${one.what}: ${one.measured}`),
      ...Object.entries(row.figures).map(([name, value]) => `${name}: ${value}`),
      `${row.streams} streams, ${Math.round(row.bytes / 2 ** 20)} MiB`,
    ]
    const { p50, p99, max } = row.stall
    lines.push(
      `| ${cell(row.fault)} | ${cell(row.means)} | ${held ? 'yes' : '**no**'} | ${p50} / ${p99} / ${max} | ${cell(told.join('; '))} | ${row.commit} |`,
    )
  }
  lines.push(
    '',
    '## Spark',
    '',
    'A job with six executors that shuffles round after round, through the same three relays and Redis, on Unix sockets with a fault proxy before each relay. Failed tasks and fetch failures are counted from Spark’s event log (`node scripts/event-log-failures.ts LOG`); stalls are those of checked streams beside it.',
    '',
    '| fault | means | Spark | held | failed tasks | fetch failures | stall p50 / p99 / max, ms | notes | commit |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  )
  for (const row of Object.values(kept.spark)) {
    const { p50, p99, max } = row.stall
    lines.push(
      `| ${cell(row.fault)} | ${cell(row.means)} | ${row.version} | ${row.held ? 'yes' : '**no**'} | ${row.failedTasks} | ${row.fetchFailures} | ${p50} / ${p99} / ${max} | ${cell([`${row.rounds} rounds`, ...row.notes].join('; '))} | ${row.commit} |`,
    )
  }
  const { load, frames } = kept
  if (load !== undefined) {
    lines.push(
      '',
      '## Many endpoints',
      '',
      `${load.endpoints} endpoints (two links each) attached to three relays at once from four processes: ${load.failures.length} refused, ${load.attach.aSecond} links a second, p50 ${load.attach.p50Ms} / p99 ${load.attach.p99Ms} / max ${load.attach.maxMs} ms; the fullest relay has ${load.skew} × the mean. Then ${load.streams} idle streams, held for 30 s: ${load.resets} reset, ${load.detached} links lost.`,
      '',
      '| memory of | an endpoint (both links) | an idle stream |',
      '| --- | --- | --- |',
      `| relays, resident | ${kib(load.relayBytesAnEndpoint)} | ${kib(load.relayBytesAStream)} |`,
      `| the endpoint, heap and buffers | ${kib(load.endpointBytesAnEndpoint)} | ${kib(load.endpointBytesAStream)} at each end |`,
      '',
      `Redis: ${load.redisCommandsAStream} commands a stream opened. Commit ${load.commit}.`,
    )
  }
  if (frames !== undefined) {
    lines.push(
      '',
      '## Generated frames',
      '',
      `${frames.sequences} sequences (${frames.frames} frames) with seed ${frames.seed}: ${frames.faults.length === 0 ? 'no crash, no hang, no growth, and an honest stream beside them lost nothing' : frames.faults.join('; ')}. Commit ${frames.commit}.`,
    )
  }
  const failed = Object.entries(kept.failures)
  if (failed.length > 0)
    lines.push(
      '',
      '## Did not run to the end',
      '',
      ...failed.map(([name, { why, commit }]) => `- ${name}: ${cell(why)} (commit ${commit})`),
    )
  return `${lines.join('\n')}\n`
}
