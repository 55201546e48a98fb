/**
 * The account of a run at its end: JSON for programs (`--summary-json`), a few lines and the
 * shuffle matrix for people. Used by submit.ts and agent.ts; the demo and the Spark tests
 * read the JSON.
 */
import * as z from 'zod'
import { DOLLARS_PER_GB_SECOND, formatDollars, lambdaMemoryMb } from './cost.ts'
import type { Ledger } from './ledger.ts'
import type { Matrix } from './traffic-book.ts'

const executorSummary = z.object({
  id: z.string(),
  sparkApplication: z.string(),
  pod: z.string(),
  address: z.string(),
  /** What Lambda would have been set to, MB. */
  memoryMb: z.number(),
  durationMs: z.number(),
  attachedAfterMs: z.number().optional(),
  jvmAfterMs: z.number().optional(),
  rpcAfterMs: z.number().optional(),
  end: z.string().optional(),
  exitCode: z.number().optional(),
  jvmMaxResidentBytes: z.number().optional(),
  shimResidentBytes: z.number().optional(),
  /** Most that the whole function used at once, as far as its platform looked. */
  peakBytes: z.number().optional(),
  /** What its pod asks for, bytes. */
  askedBytes: z.number(),
  resumes: z.number(),
})

export const summarySchema = z.object({
  version: z.literal(1),
  /** Who decided the end: Spark by exiting, the agent, or wrong use of this program. */
  endedBy: z.enum(['spark', 'agent', 'usage']),
  exitCode: z.number(),
  /** Set when something is to be told: why the agent ended it, or that no function was started. */
  reason: z.string().optional(),
  app: z.string(),
  wallMs: z.number(),
  functionsStarted: z.number(),
  functionMs: z.number(),
  executors: z.array(executorSummary),
  /** Bytes from row to column. Absent with more than 255 executors. */
  matrix: z.object({ names: z.array(z.string()), bytes: z.array(z.array(z.number())) }).optional(),
  relayedBytes: z.number(),
  /** Between executors only: shuffle, broadcast pieces, cached blocks. */
  relayedBetweenExecutorsBytes: z.number(),
  resumes: z.number(),
  /** Resets of streams at the driver's end, by reason. */
  resets: z.record(z.string(), z.number()),
  cost: z.object({
    architecture: z.enum(['x86', 'arm']),
    requests: z.number(),
    gbSeconds: z.number(),
    dollars: z.number(),
  }),
  /** Lines of executors' warnings that were over the cap. */
  droppedLogLines: z.number(),
  relayRestarts: z.number(),
  /** Largest seen, bytes: this process, and the relay inside. */
  agentResidentBytes: z.number(),
  relayResidentBytes: z.number().optional(),
})
export type Summary = z.infer<typeof summarySchema>

export interface Ending {
  readonly endedBy: Summary['endedBy']
  readonly exitCode: number
  readonly reason?: string
}

/** What the session knows beside the ledger. */
export interface Circumstances {
  readonly app: string
  readonly driverResumes: number
  readonly resets: Readonly<Record<string, number>>
  readonly droppedLogLines: number
  readonly relayRestarts: number
  readonly agentResidentBytes: number
  readonly relayResidentBytes: number | undefined
}

/** Adds up the ledger. `nowMs` on the ledger's clock. */
export function summarize(
  ledger: Ledger,
  ending: Ending,
  circumstances: Circumstances,
  nowMs: number,
): Summary {
  const { driverResumes, ...rest } = circumstances
  const matrix = ledger.matrix()
  const relayed = ledger.relayed()
  const bill = ledger.bill(nowMs)
  const uses = ledger.uses(nowMs)
  return {
    version: 1,
    ...ending,
    ...rest,
    wallMs: Math.round(nowMs - ledger.startedMs),
    functionsStarted: ledger.executors.length,
    functionMs: Math.round(uses.reduce((sum, use) => sum + use.durationMs, 0)),
    executors: ledger.executors.map((record) => ({
      id: record.executorId,
      sparkApplication: record.sparkApplication,
      pod: record.pod,
      address: record.address,
      memoryMb: lambdaMemoryMb(record.memoryBytes),
      durationMs: Math.round((record.endedMs ?? nowMs) - record.startedMs),
      attachedAfterMs: record.attachedAfterMs,
      jvmAfterMs: record.jvmAfterMs,
      rpcAfterMs: record.rpcAfterMs,
      end: record.end,
      exitCode: record.exitCode,
      jvmMaxResidentBytes: record.jvmMaxResidentBytes,
      shimResidentBytes: record.shimResidentBytes,
      peakBytes: record.peakBytes,
      askedBytes: record.memoryBytes,
      resumes: record.resumes,
    })),
    ...(matrix === undefined
      ? {}
      : { matrix: { names: [...matrix.names], bytes: matrix.bytes.map((row) => [...row]) } }),
    relayedBytes: relayed.all,
    relayedBetweenExecutorsBytes: relayed.betweenExecutors,
    resumes: driverResumes + ledger.executors.reduce((sum, record) => sum + record.resumes, 0),
    cost: { ...bill },
  }
}

/** The summary of a run that ended before anything was started. */
export function emptySummary(ledger: Ledger, ending: Ending): Summary {
  const nothing: Circumstances = {
    app: '',
    driverResumes: 0,
    resets: {},
    droppedLogLines: 0,
    relayRestarts: 0,
    agentResidentBytes: process.memoryUsage.rss(),
    relayResidentBytes: undefined,
  }
  return summarize(ledger, ending, nothing, ledger.startedMs)
}

/** The lines shown to people at the end. */
export function summaryLines(summary: Summary): string[] {
  const lines: string[] = []
  const seconds = (summary.wallMs / 1000).toFixed(1)
  if (summary.reason !== undefined) lines.push(summary.reason)
  if (summary.functionsStarted === 0) {
    lines.push(`no function was started; ${seconds} s`)
    return lines
  }
  const { cost } = summary
  const memory = [...new Set(summary.executors.map((executor) => executor.memoryMb))].sort((a, b) => a - b)
  lines.push(
    `${summary.functionsStarted} ${summary.functionsStarted === 1 ? 'function' : 'functions'} started, ${seconds} s wall time, ${(summary.functionMs / 1000).toFixed(1)} function-seconds`,
    `${formatMiB(summary.relayedBytes)} MiB relayed, ${formatMiB(summary.relayedBetweenExecutorsBytes)} MiB of it between executors${summary.resumes > 0 ? `, ${summary.resumes} streams resumed` : ''}`,
    `on Lambda at list price: ${formatDollars(cost.dollars)} (${cost.gbSeconds.toFixed(1)} GB-s at $${DOLLARS_PER_GB_SECOND[cost.architecture]} with ${memory.join(', ')} MB a function, ${cost.requests} requests; relays not counted)`,
  )
  const fullest = fullestOf(summary)
  if (fullest !== undefined)
    lines.push(
      `memory: executor ${fullest.id}, the fullest, used up to ${formatMiB(fullest.peakBytes)} MiB of the ${formatMiB(fullest.askedBytes)} MiB that its pod asks for`,
    )
  return lines
}

/** The function that came closest to what its pod asks for: what to size others by. */
function fullestOf({
  executors,
}: Summary): { id: string; peakBytes: number; askedBytes: number } | undefined {
  return executors
    .flatMap(({ id, peakBytes, askedBytes }) =>
      peakBytes === undefined ? [] : [{ id, peakBytes, askedBytes, share: peakBytes / askedBytes }],
    )
    .sort((a, b) => b.share - a.share)[0]
}

/** The shuffle matrix as a table, MiB from row to column; names of executors that ended early are kept. */
export function matrixLines(matrix: Matrix): string[] {
  const cells = [
    ['MiB from \\ to', ...matrix.names],
    ...matrix.names.map((name, row) => [
      name,
      ...matrix.names.map((_, column) =>
        row === column ? '·' : formatMiB(matrix.bytes[row]?.[column] ?? 0),
      ),
    ]),
  ]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? []
  return cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
}

/** MiB with one decimal below 100. */
export function formatMiB(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024)
  return mebibytes >= 100 ? mebibytes.toFixed(0) : mebibytes.toFixed(1)
}
