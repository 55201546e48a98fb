/**
 * The local provider: starts a function as `unshare … sh setup … shim`, watches its lifetime
 * and memory, and ends it. driver-agent creates one a run, through index.ts.
 */
import type { Logger } from 'pino'
import type { FunctionProvider } from '../provider.ts'

export interface LocalProviderOptions {
  /** The command that runs `spark-lambda-relay shim`: selfCommand(['shim']). */
  readonly shimCommand: readonly string[]
  /** SPARK_HOME of the functions. */
  readonly sparkHome: string
  /** Each executor's output goes to `<logDir>/<pod>.log`. Created if missing. */
  readonly logDir: string
  /** Where the run's folder is made. Default `<tmpdir>/spark-lambda-relay-<uid>`; made 0700. */
  readonly workRoot?: string
  /** `none`: the relay's Unix socket is the only way out. `host-proxy` is not supported yet: refused. */
  readonly egress?: 'none' | 'host-proxy'
  /** Size of a function's /tmp as tmpfs, bytes. Default: no tmpfs, a folder on the disk of workRoot. */
  readonly tmpBytes?: number
  /** Memory that a function may use beyond the pod's, for the shim. Default 128 MiB. */
  readonly memorySlackBytes?: number
  /** Files and folders that functions must not see (secret file, the agent's own folder). */
  readonly hide?: readonly string[]
  /** Files and folders under a hidden one (/tmp, /run …) that functions must see, for example a Python. */
  readonly keep?: readonly string[]
  /** Added to the functions' environment, which is otherwise an allowlist of the agent's. */
  readonly env?: Readonly<Record<string, string>>
  readonly logger: Logger
}

/** Throws an AgentLocalError when an option cannot work on this machine. Ask probeNamespaces() first. */
export function createLocalProvider(options: LocalProviderOptions): FunctionProvider {
  throw new Error(`not built yet: ${options.logDir}`)
}
