/**
 * The local provider: starts a function as `unshare … sh SETUP … shim`, watches its lifetime
 * and memory, and ends it. driver-agent creates one a run, through index.ts.
 */
import { chmodSync, mkdirSync, realpathSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Logger } from 'pino'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import { removeTree } from '../../executor-shim/remove-tree.ts'
import { cacheDir } from '../cache-dir.ts'
import { AgentError } from '../errors.ts'
import type { FunctionHandle, FunctionProvider } from '../provider.ts'
import { diesWithUs } from '../spawn.ts'
import { functionEnvironment, thriftyMalloc } from './environment.ts'
import { LocalFunction, notStarted } from './function.ts'
import { type NamespaceMode, namespaceMode, unshareCommand } from './namespace.ts'
import {
  commandFolders,
  isTooWide,
  mark,
  programFolders,
  sharedFolders,
  socketPlace,
} from './needed-paths.ts'
import { makeRunFolder, removeLeftOvers } from './run-folder.ts'
import { MemorySampler } from './sampler.ts'
import { fds, setupCommand, setupScript } from './setup-script.ts'
import { type Mark, planMounts, stagesOf } from './visibility.ts'

/** What our own process may use beside the pod's. */
const SLACK_BYTES = 128 * 1024 * 1024

export interface LocalProviderOptions {
  /** The command that runs `spark-lambda-relay shim`: selfCommand(['shim']). */
  readonly shimCommand: readonly string[]
  /** SPARK_HOME of the functions. */
  readonly sparkHome: string
  /** Each executor's output goes to `<logDir>/<pod>.log` (0600). Made if missing. */
  readonly logDir: string
  /** Where the run's folder is made. Default `<tmpdir>/spark-lambda-relay-<uid>`; made 0700. */
  readonly workRoot?: string
  /** `none`, the default: the relay's Unix socket is the only way out. `host-proxy` is refused: not built yet. */
  readonly egress?: 'none' | 'host-proxy'
  /** Size of a function's /tmp as tmpfs, bytes; its pages are this machine's memory. Default: a folder on workRoot's disk. */
  readonly tmpBytes?: number
  /** Memory that a function may use beyond its pod's limit, for the shim, bytes. Default 128 MiB. */
  readonly memorySlackBytes?: number
  /** Files and folders that functions must not see: the secret file, the agent's own folder. */
  readonly hide?: readonly string[]
  /** What functions must see below a hidden folder (/tmp, /var/tmp, /run, `hide`): for example a Python's. */
  readonly keep?: readonly string[]
  /** Added to the functions' environment, which is otherwise an allowlist of the agent's. */
  readonly env?: Readonly<Record<string, string>>
  readonly logger: Logger
}

/** Doors for tests, see for-test.ts. */
export interface LocalProviderDoors {
  /** Runs in place of the shim. */
  readonly command?: readonly string[]
  /** Turns IPv6 off in each function's namespace. */
  readonly disableIpv6?: boolean
}

/** Throws AgentError `setup` when an option cannot work here. Ask probeNamespaces() first. */
export function createLocalProvider(options: LocalProviderOptions): FunctionProvider {
  return new LocalProvider(options, {})
}

export class LocalProvider implements FunctionProvider {
  readonly name = 'local'
  readonly #options: LocalProviderOptions
  readonly #doors: LocalProviderDoors
  readonly #runFolder: string
  readonly #compileCache: string | undefined
  readonly #sampler = new MemorySampler()
  readonly #live = new Set<LocalFunction>()
  /** Removals under way: of earlier runs' folders, of ended functions'. */
  readonly #removing = new Set<Promise<unknown>>()
  #count = 0

  constructor(options: LocalProviderOptions, doors: LocalProviderDoors) {
    if (options.egress === 'host-proxy') {
      throw new AgentError(
        'setup',
        '--egress host-proxy is not supported by this version: use --egress none, or read the data in the driver',
      )
    }
    if (process.platform !== 'linux') {
      throw new AgentError(
        'setup',
        `--provider local needs Linux namespaces, this is ${process.platform}: run it in a Linux machine or container`,
      )
    }
    const workRoot = options.workRoot ?? join(tmpdir(), `spark-lambda-relay-${process.getuid?.() ?? 0}`)
    mkdirSync(options.logDir, { recursive: true, mode: 0o700 })
    // Whole paths: one that is not would be left in sight.
    const whole = (paths: readonly string[] = []): string[] => paths.map((path) => resolve(path))
    this.#options = { ...options, logDir: resolve(options.logDir), hide: whole(options.hide) }
    this.#doors = doors
    this.#runFolder = realpathSync(makeRunFolder(workRoot))
    this.#compileCache = makeCompileCache()
    const stays = (folder: string, error: Error): void =>
      this.#options.logger.warn(
        { folder, error: error.message },
        'a work folder that an earlier run left cannot be removed',
      )
    this.#remove(removeLeftOvers(workRoot, stays))
  }

  start(payload: FunctionPayload): FunctionHandle {
    const id = `local-${++this.#count}`
    const folder = join(this.#runFolder, id)
    const { logger, memorySlackBytes = SLACK_BYTES } = this.#options
    let started: LocalFunction
    try {
      const mode = namespaceMode()
      const { command, env } = this.#prepare(payload, folder, mode)
      started = new LocalFunction(id, {
        command: diesWithUs([...unshareCommand(mode), ...command]),
        env: { ...this.#environment(), ...env },
        payload,
        logFile: logFileOf(this.#options.logDir, payload.pod.name),
        limitBytes: payload.pod.memoryBytes + memorySlackBytes,
        sampler: this.#sampler,
        logger: logger.child({ pod: payload.pod.name }),
      })
    } catch (error) {
      return { id, ended: Promise.resolve(notStarted(error as Error)), stop: async () => {} }
    }
    this.#live.add(started)
    void started.ended.then((end) => {
      logger.debug({ function: id, pod: payload.pod.name, end }, 'function ended')
      this.#live.delete(started)
      this.#remove(removeTree(folder))
    })
    return started
  }

  async close(): Promise<void> {
    await Promise.all([...this.#live].map((live) => live.stop()))
    await Promise.all(this.#removing)
    await removeTree(this.#runFolder).catch((error: Error) => {
      // What a job leaves behind does not change how it ended.
      this.#options.logger.warn({ folder: this.#runFolder, error: error.message }, 'work folder not removed')
    })
  }

  /** The function's folder on this machine becomes its /tmp; all else of the run is out of its sight. */
  #prepare(payload: FunctionPayload, folder: string, mode: NamespaceMode): ReturnType<typeof setupCommand> {
    const { tmpBytes } = this.#options
    const marks = this.#marks(payload, folder)
    const stage = join(this.#runFolder, 'stage')
    mkdirSync(folder)
    chmodSync(folder, 0o1777) // it becomes /tmp; the run's folder above it is 0700
    for (let index = 0; index < stagesOf(marks); index++)
      mkdirSync(join(stage, String(index)), { recursive: true })
    const script = setupScript({
      mode,
      mounts: planMounts(marks, stage),
      ...(tmpBytes === undefined ? {} : { tmp: { on: folder, bytes: tmpBytes } }),
      ...(this.#doors.disableIpv6 === undefined ? {} : { disableIpv6: this.#doors.disableIpv6 }),
    })
    return setupCommand(script, this.#doors.command ?? this.#options.shimCommand)
  }

  #marks(payload: FunctionPayload, folder: string): readonly Mark[] {
    const { sparkHome, logDir, hide = [], keep = [], shimCommand } = this.#options
    const inner = this.#doors.command ?? shimCommand
    const programs = [
      ...programFolders({ ...process.env, ...payload.pod.env }),
      ...commandFolders(inner),
      sparkHome,
    ]
    const sockets = [...payload.relays, ...Object.values(payload.detours ?? {})]
      .filter((url) => url.startsWith('unix:'))
      .map((url) => socketPlace(url.slice('unix:'.length)))
    // Other jobs of this user work below the same root.
    const ours = [realpathSync(logDir), dirname(this.#runFolder)]
    const narrow = ours.filter((path) => !isTooWide(path, [process.cwd(), homedir(), ...programs]))
    return [
      ...sharedFolders(),
      { path: '/tmp', is: 'hide', kind: 'folder', empty: { mode: '1777', bytes: 0, source: folder } },
      ...[this.#runFolder, ...narrow, ...hide].flatMap((path) => mark(path, 'hide')),
      ...[...programs, ...sockets, ...keep, this.#compileCache ?? ''].flatMap((path) => mark(path, 'keep')),
    ]
  }

  #environment(): Record<string, string> {
    return functionEnvironment(process.env, {
      ...this.#options.env,
      HOME: '/tmp',
      TMPDIR: '/tmp',
      SPARK_HOME: this.#options.sparkHome,
      SLR_WORK_DIR: '/tmp/work',
      ...thriftyMalloc,
      ...(this.#compileCache === undefined ? {} : { NODE_COMPILE_CACHE: this.#compileCache }),
      // The file's name lies in a hidden folder; its descriptor is open.
      SLR_EXECUTOR_LOG: `/proc/self/fd/${fds.log}`,
    })
  }

  #remove(removal: Promise<unknown>): void {
    const settled = removal
      .catch((error) => this.#options.logger.debug({ err: error }, 'left-over not removed'))
      .finally(() => this.#removing.delete(settled))
    this.#removing.add(settled)
  }
}

/**
 * Where shims keep their compiled code: with it one starts in a third of the time and holds 24 MiB
 * less (in a checkout; Node then needs no TypeScript compiler). The first of them fill it.
 */
function makeCompileCache(): string | undefined {
  const folder = join(cacheDir(process.env), 'compiled')
  try {
    mkdirSync(folder, { recursive: true })
    return realpathSync(folder)
  } catch {
    return undefined // a home that cannot be written: it is only slower
  }
}

/** A pod's name is a DNS label; anything else must not become a path. */
function logFileOf(logDir: string, pod: string): string {
  return join(logDir, `${pod.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_')}.log`)
}
