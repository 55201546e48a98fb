/**
 * How many tasks of a Spark job failed, and how many of these were fetch failures, from its event
 * log: any job's, with or without this project. Takes a file or the folder of a rolling log, plain
 * or zstd (`spark.eventLog.compression.codec`).
 *
 *     node scripts/event-log-failures.ts EVENT_LOG
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import * as z from 'zod'

const taskEnd = z.looseObject({
  'Task End Reason': z.looseObject({ Reason: z.string() }),
  'Task Info': z.looseObject({ Failed: z.boolean(), Killed: z.boolean() }),
})

export interface Failures {
  readonly tasks: number
  /** Ended as failures. Those that were killed because nobody needed them any more are none. */
  readonly failedTasks: number
  /** Of the failed: a block could not be fetched. */
  readonly fetchFailures: number
  /** Of the failed: their executor was lost. */
  readonly executorLost: number
  /** Stages that ran more than once. */
  readonly repeatedStages: number
  readonly executorsAdded: number
  readonly executorsRemoved: number
}

/** Throws when there is no such file, or it is compressed by something else than zstd. */
export function readFailures(path: string): Failures {
  const found = {
    tasks: 0,
    failedTasks: 0,
    fetchFailures: 0,
    executorLost: 0,
    repeatedStages: 0,
    executorsAdded: 0,
    executorsRemoved: 0,
  }
  for (const line of linesOf(path)) {
    if (line.includes('"SparkListenerTaskEnd"')) {
      const event = taskEnd.parse(JSON.parse(line))
      found.tasks += 1
      if (!event['Task Info'].Failed || event['Task Info'].Killed) continue
      found.failedTasks += 1
      const { Reason: reason } = event['Task End Reason']
      if (reason === 'FetchFailed') found.fetchFailures += 1
      if (reason === 'ExecutorLostFailure') found.executorLost += 1
    } else if (line.includes('"SparkListenerStageCompleted"')) {
      const attempt = /"Stage Attempt ID":(\d+)/.exec(line)?.[1]
      if (Number(attempt) > 0) found.repeatedStages += 1
    } else if (line.includes('"SparkListenerExecutorAdded"')) found.executorsAdded += 1
    else if (line.includes('"SparkListenerExecutorRemoved"')) found.executorsRemoved += 1
  }
  return found
}

function* linesOf(path: string): Generator<string> {
  if (statSync(path).isDirectory()) {
    const parts = readdirSync(path).filter((name) => name.startsWith('events_'))
    parts.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    for (const part of parts) yield* linesOf(join(path, part))
    return
  }
  const bytes = readFileSync(path)
  const isZstd = /\.zstd(\.|$)/.test(path)
  if (/\.(lz4|lzf|snappy)(\.|$)/.test(path))
    throw new Error(
      `${path} is compressed in Spark's own framing; write it with spark.eventLog.compress=false or codec zstd`,
    )
  const lines = (isZstd ? zstdDecompressSync(bytes) : bytes).toString('utf8').split('\n')
  if (path.endsWith('.inprogress')) lines.pop() // may be cut
  yield* lines
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = process.argv[2]
  if (path === undefined) {
    console.error('usage: node scripts/event-log-failures.ts EVENT_LOG')
    process.exit(2)
  }
  console.log(JSON.stringify(readFailures(path), undefined, 2))
}
