/**
 * Finds what a job would reach outside, so that it is said before the job hangs: executors
 * reach nothing but the relay unless `--egress` says so. Pure. Used by apply.ts.
 */

interface Outside {
  readonly name: string
  /** Settings whose mere presence tells. */
  readonly keys?: RegExp
  /** In values of settings and in the program's arguments. */
  readonly text: RegExp
}

const outsides: readonly Outside[] = [
  {
    name: 's3',
    keys: /^spark\.hadoop\.fs\.s3[an]?\./,
    text: /\bs3[an]?:\/\/|\bhadoop-aws\b|\bhadoop-cloud\b/i,
  },
  { name: 'gs', keys: /^spark\.hadoop\.(fs|google)\.(gs|cloud)\./, text: /\bgs:\/\/|\bgcs-connector\b/i },
  { name: 'azure', keys: /^spark\.hadoop\.(fs\.azure|dfs\.adls)\b/, text: /\b(abfss?|wasbs?|adl):\/\// },
  { name: 'hdfs', text: /\bhdfs:\/\// },
  {
    name: 'jdbc',
    keys: /^spark\.sql\.catalog\.[^.]+\.(url|driver)$/,
    text: /\bjdbc:|\b(postgresql|mysql-connector|mariadb-java|mssql-jdbc|ojdbc|snowflake-jdbc|redshift-jdbc)/i,
  },
  { name: 'kafka', keys: /^spark\.kafka\./, text: /\bkafka\b|\bspark-(sql|streaming)-kafka/i },
]

/** Only the driver, which has the machine's own network, uses these. */
const driverOnly = /^spark\.(eventLog|history|kubernetes\.file\.upload|submit|ui|driver|app|master)\b/

/** One sentence a kind of place. */
export function findOutsideUse(conf: ReadonlyMap<string, string>, program: readonly string[]): string[] {
  return outsides.flatMap(({ name, keys, text }) => {
    const where = findWhere(keys, text, conf, program)
    if (where === undefined) return []
    return [
      `${where} points to ${name}, and executors reach nothing but the relay (--egress none): ` +
        'tasks that read or write there hang; let the driver read and write it',
    ]
  })
}

function findWhere(
  keys: RegExp | undefined,
  text: RegExp,
  conf: ReadonlyMap<string, string>,
  program: readonly string[],
): string | undefined {
  for (const [key, value] of conf) {
    if (driverOnly.test(key)) continue
    if (keys?.test(key) === true || text.test(value)) return `the setting ${key}`
  }
  // The program itself is read by the driver; what it is told may be read by tasks.
  return program.slice(1).some((argument) => text.test(argument))
    ? "one of the program's arguments"
    : undefined
}
