/** The faces of the settings table. Used by driver-agent/submit.ts, agent.ts and tests. */
import type { FunctionPayload } from '../../executor-shim/payload.ts'

/** Everything that settings are made of. */
export interface SettingsInput {
  /** The user's spark-submit arguments, as they stand after `--`; empty for `agent`. */
  readonly args: readonly string[]
  /** The user's environment: SPARK_CONF_DIR, JAVA_TOOL_OPTIONS. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly sparkHome: string
  /** As `3.5.7`. */
  readonly sparkVersion: string
  /** `http://127.0.0.1:PORT`. */
  readonly facadeUrl: string
  /** File with the facade's bearer token. */
  readonly tokenFile: string
  /** Where the caller will write `AppliedSettings.properties` (0600) before it starts Spark. */
  readonly propertiesFile: string
  readonly namespace: string
  /** Virtual address of the driver. */
  readonly driverAddress: string
  /** What the driver's JVM binds: `[::1]`, or its virtual address where ::1 is missing. */
  readonly bindAddress: string
  readonly ports: FunctionPayload['ports']
  /** A free port for Spark's UI. */
  readonly uiPort: number
  /** Most functions at once. */
  readonly maxExecutors: number
  /** Disk of one function, bytes. */
  readonly functionDiskBytes: number
  /** Whether executors reach anything but the relay. */
  readonly egress: 'none' | 'host-proxy'
  /** `spark.ui.custom.executor.log.url`, with Spark's {{…}} patterns. */
  readonly executorLogUrl?: string
}

export interface AppliedSettings {
  /** For spark-submit: `--master`, `--properties-file`, then what the user gave, cleaned. */
  readonly args: readonly string[]
  /**
   * Text of the properties file: the user's spark-defaults.conf or --properties-file, his
   * --conf, and ours. Holds his secrets: write it 0600. As spark-defaults.conf of a SPARK_CONF_DIR
   * it makes pyspark, spark-shell and notebooks work without arguments.
   */
  readonly properties: string
  /** What the properties file says, plus the convenience flags under the names of the settings they stand for. */
  readonly conf: ReadonlyMap<string, string>
  /** For the driver's environment; undefined: remove. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Sentences for the user's eyes. */
  readonly warnings: readonly string[]
  /** Executors that the job begins with and keeps; 0 under dynamic allocation without initial executors. */
  readonly instances: number
  readonly dynamicAllocation: boolean
  /** SPARK_CONF_DIR or SPARK_HOME/conf, if there is one: what `readConfDir` takes. */
  readonly confDir: string | undefined
}
