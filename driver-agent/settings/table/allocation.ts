/** How many executors, how fast, and when they go. Part of the settings table. */
import { SettingsError } from '../errors.ts'
import { type Context, isTrue, type Row } from '../row.ts'

const capped = 'there are at most --max-executors functions at once'
/**
 * What "no function is left 2 minutes after the work" rests on: at most 45 s of idling, then at
 * most 60 s of moving blocks away, then the stop's grace. Each is the user's to change.
 */
const billed = 'an idle function costs what a busy one does'

function defaulted(
  key: string,
  why: string,
  value: (context: Context) => string | undefined,
  since?: number,
): Row {
  return { key, kind: 'defaulted', why, value, ...(since === undefined ? {} : { since }) }
}

/** A default that only makes sense under dynamic allocation. */
function dynamic(key: string, why: string, text: string, since?: number): Row {
  return defaulted(key, why, (context) => (isDynamic(context) ? text : undefined), since)
}

/** The user's count, but not more than there can be; undefined when he gave none. */
function atMostCap(key: string): Row {
  const value = (context: Context): string | undefined => {
    const given = readCount(context, key)
    return given === undefined ? undefined : String(Math.min(given, context.input.maxExecutors))
  }
  return { key, kind: 'enforced', why: capped, value }
}

export const allocation: readonly Row[] = [
  atMostCap('spark.executor.instances'),
  defaulted(
    'spark.dynamicAllocation.enabled',
    'functions come and go with the work',
    // Someone who asks for a number of executors gets that number, as with any Spark.
    (context) => (context.get('spark.executor.instances') === undefined ? 'true' : undefined),
  ),
  {
    key: 'spark.dynamicAllocation.maxExecutors',
    kind: 'enforced',
    why: capped,
    value: (context) => {
      if (!isDynamic(context)) return undefined
      const given = readCount(context, 'spark.dynamicAllocation.maxExecutors')
      return String(Math.min(given ?? context.input.maxExecutors, context.input.maxExecutors))
    },
  },
  atMostCap('spark.dynamicAllocation.minExecutors'),
  atMostCap('spark.dynamicAllocation.initialExecutors'),
  dynamic('spark.dynamicAllocation.shuffleTracking.enabled', 'there is no external shuffle service', 'true'),
  dynamic('spark.dynamicAllocation.executorIdleTimeout', billed, '30s'),
  dynamic(
    'spark.dynamicAllocation.shuffleTracking.timeout',
    `${billed}, and Spark's default is never`,
    '45s',
  ),
  dynamic(
    'spark.dynamicAllocation.cachedExecutorIdleTimeout',
    `${billed}, and Spark's default is never`,
    '45s',
  ),
  dynamic(
    'spark.cleaner.periodicGC.interval',
    'shuffles that nobody holds keep their executors until a cleaning',
    '1min',
  ),
  ...['classic', 'connect', 'thriftserver'].map((kind) =>
    dynamic(
      `spark.sql.${kind}.shuffleDependency.fileCleanup.enabled`,
      'the shuffle files of a finished query keep executors',
      'true',
      4,
    ),
  ),
  defaulted('spark.kubernetes.allocation.batch.size', 'functions start by the hundred', () => '100'),
  // 4.x refuses 100 ms and less.
  defaulted('spark.kubernetes.allocation.batch.delay', 'functions start in milliseconds', () => '101ms'),
  defaulted(
    'spark.executor.maxNumFailures',
    'under dynamic allocation Spark would go on for ever',
    // Above the agent's own limit on failed starts (20), whose reason says more.
    ({ input }) => String(Math.max(24, 2 * input.maxExecutors)),
  ),
]

export function isDynamic(context: Pick<Context, 'get'>): boolean {
  return isTrue(context.get('spark.dynamicAllocation.enabled'))
}

/** A whole number, 0 or more. Throws SettingsError `bad-value`. */
export function readCount(context: Pick<Context, 'get'>, key: string): number | undefined {
  const text = context.get(key)?.trim()
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text))
    throw new SettingsError('bad-value', `${key}=${text}: must be a whole number, 0 or more`)
  return Number(text)
}
