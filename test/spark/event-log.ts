/**
 * What Spark itself says of a job: its event log, read for the few events that tests judge by.
 * For test/spark/ only.
 */
import { readFileSync } from 'node:fs'
import * as z from 'zod'

const taskEnd = z.object({
  Event: z.literal('SparkListenerTaskEnd'),
  'Stage ID': z.number(),
  'Task End Reason': z.looseObject({ Reason: z.string() }),
  'Task Info': z.object({
    'Task ID': z.number(),
    'Executor ID': z.string(),
    Attempt: z.number(),
    Speculative: z.boolean(),
    Failed: z.boolean(),
    Killed: z.boolean(),
    'Launch Time': z.number(),
    'Finish Time': z.number(),
  }),
  'Task Metrics': z
    .object({
      'Result Size': z.number(),
      'Shuffle Read Metrics': z.object({ 'Remote Bytes Read': z.number(), 'Local Bytes Read': z.number() }),
    })
    .optional(),
})
const executorAdded = z.object({
  Event: z.literal('SparkListenerExecutorAdded'),
  Timestamp: z.number(),
  'Executor ID': z.string(),
  'Executor Info': z.object({
    Host: z.string(),
    'Resource Profile Id': z.number(),
    'Log Urls': z.record(z.string(), z.string()),
  }),
})
const executorRemoved = z.object({
  Event: z.literal('SparkListenerExecutorRemoved'),
  Timestamp: z.number(),
  'Executor ID': z.string(),
  'Removed Reason': z.string(),
})
const blockUpdated = z.object({
  Event: z.literal('SparkListenerBlockUpdated'),
  'Block Updated Info': z.object({
    'Block Manager ID': z.object({ 'Executor ID': z.string() }),
    'Block ID': z.string(),
    'Memory Size': z.number(),
    'Disk Size': z.number(),
  }),
})
const jobStart = z.object({
  Event: z.literal('SparkListenerJobStart'),
  'Stage IDs': z.array(z.number()),
  Properties: z.record(z.string(), z.string()).optional(),
})
const stageCompleted = z.object({
  Event: z.literal('SparkListenerStageCompleted'),
  'Stage Info': z.object({
    'Stage ID': z.number(),
    'Stage Attempt ID': z.number(),
    'Failure Reason': z.string().optional(),
  }),
})

export interface EventLog {
  readonly tasks: readonly z.infer<typeof taskEnd>[]
  readonly executorsAdded: readonly z.infer<typeof executorAdded>[]
  readonly executorsRemoved: readonly z.infer<typeof executorRemoved>[]
  readonly blocks: readonly z.infer<typeof blockUpdated>[]
  readonly jobs: readonly z.infer<typeof jobStart>[]
  readonly stages: readonly z.infer<typeof stageCompleted>[]
  /** Names of all events, with how often each came. */
  readonly counts: ReadonlyMap<string, number>
  /** Tasks that ended as failures; those killed because they were no longer needed are none. */
  readonly failedTasks: readonly z.infer<typeof taskEnd>[]
}

/** Reads a log of `spark.eventLog.compress=false`, rolling off. A last line that was cut is left out. */
export function readEventLog(file: string): EventLog {
  const tasks: z.infer<typeof taskEnd>[] = []
  const executorsAdded: z.infer<typeof executorAdded>[] = []
  const executorsRemoved: z.infer<typeof executorRemoved>[] = []
  const blocks: z.infer<typeof blockUpdated>[] = []
  const jobs: z.infer<typeof jobStart>[] = []
  const stages: z.infer<typeof stageCompleted>[] = []
  const counts = new Map<string, number>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const event = parse(line)
    if (event === undefined) continue
    counts.set(event.Event, (counts.get(event.Event) ?? 0) + 1)
    if (event.Event === 'SparkListenerTaskEnd') tasks.push(taskEnd.parse(event))
    else if (event.Event === 'SparkListenerExecutorAdded') executorsAdded.push(executorAdded.parse(event))
    else if (event.Event === 'SparkListenerExecutorRemoved')
      executorsRemoved.push(executorRemoved.parse(event))
    else if (event.Event === 'SparkListenerBlockUpdated') blocks.push(blockUpdated.parse(event))
    else if (event.Event === 'SparkListenerJobStart') jobs.push(jobStart.parse(event))
    else if (event.Event === 'SparkListenerStageCompleted') stages.push(stageCompleted.parse(event))
  }
  const failedTasks = tasks.filter(({ 'Task Info': info }) => info.Failed && !info.Killed)
  return { tasks, executorsAdded, executorsRemoved, blocks, jobs, stages, counts, failedTasks }
}

function parse(line: string): { readonly Event: string } | undefined {
  try {
    return z.looseObject({ Event: z.string() }).parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
