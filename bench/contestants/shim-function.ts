/**
 * A function: the product's own built shim in a network namespace that has nothing but loopback, with a stand-in for
 * its JVM that waits until it is let loose, and then is a load. Used by the bench of the shim.
 */
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { thriftyMalloc } from '../../driver-agent/local/environment.ts'
import type { ShimMessage } from '../../executor-shim/control.ts'
import { enterCommand } from '../../executor-shim/exec-isolate.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import { builtProgram } from '../ours/built.ts'
import { announced } from '../testbed/announced.ts'
import { findProgram } from '../testbed/programs.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'
import { APP, virtual, type World } from './ours.ts'

/** What the stand-in's Spark says it is; nobody reads the jar. */
const SPARK_VERSION = '4.3.0'
/** Index of the agent's endpoint, and of the function's. */
const AGENT = 1
const FUNCTION = 2
const STARTED_MS = 30_000
const END_MS = 3_000
const LIFETIME_MS = 600_000

export interface ShimWish {
  /** Checkout whose code runs. */
  readonly root: string
  /** Port of 127.0.0.1 where the load beside the agent takes in what the function asks for. */
  readonly sinkPort: number
  /** Folder for compiled code, as the local provider gives shims one: the first fills it as it ends. */
  readonly compileCache: string
  /** Of the load, for the stand-in: what it fetches, until it is ended. */
  readonly loadWords: readonly (string | number)[]
}

export interface ShimFunction {
  /** The shim's own process, without its JVM. */
  readonly pid: number
  /** From the start of its program to the agent's hearing `started`, ms. */
  readonly startedMs: number
  /** Where what the stand-in serves can be dialled, beside the agent. */
  readonly entry: string
  /** The stand-in begins to serve, and to fetch from the load's sink. */
  letLoose(): void
  /** Ends shim and stand-in: whoever started them is gone. */
  close(): Promise<void>
}

/** That a shim is there, as the agent hears it. */
interface Heard {
  readonly pid: number
  readonly atMs: number
}

/** Resolves when the agent has heard of it. The relay is reached by a Unix socket, as a local function's is. */
export async function startShim(bed: Testbed, world: World, wish: ShimWish): Promise<ShimFunction> {
  const program = await builtProgram(wish.root)
  const ports = {
    driverRpc: await bed.port(),
    driverBlocks: await bed.port(),
    executorBlocks: await bed.port(),
  }
  const heard: Heard[] = []
  await world.endpoint(
    'receiver',
    [
      {
        index: AGENT,
        dials: [{ port: ports.executorBlocks, class: 'bulk' }],
        serves: [{ port: ports.driverBlocks, to: wish.sinkPort }],
      },
    ],
    (message) => {
      const said = message as ShimMessage
      if (said.is === 'started') heard.push({ pid: said.shimPid, atMs: performance.now() })
    },
  )
  const go = join(bed.dir, 'go')
  const home = fakeSpark(bed)
  const env = {
    PATH: process.env.PATH,
    TMPDIR: bed.dir,
    SPARK_HOME: home,
    JAVA_HOME: standIn(bed, go, ports, wish.loadWords),
    NODE_COMPILE_CACHE: wish.compileCache,
    ...thriftyMalloc, // as the local provider starts it
    SLR_LOG_LEVEL: 'warn',
  }
  const status = readFileSync('/proc/self/status', 'latin1')
  const [enter = '', ...words] = enterCommand(process.getuid?.() ?? 0, process.getgid?.() ?? 0, status)
  // A shell that is there already becomes the program: what a namespace costs is the platform's.
  const shell = ['sh', '-c', 'echo ready; read -r go; exec "$@"', 'sh']
  const shim = [
    process.execPath,
    ...bed.nodeFlags('shim'),
    program,
    'shim',
    '--work-dir',
    join(bed.dir, 'work'),
  ]
  const child = bed.start('helper', enter, [...words, ...shell, ...shim], { stdio: 'pipes', env })
  const { stdin } = child
  if (stdin === null) throw new Error('the shim has no stdin')
  stdin.on('error', () => {}) // it has died: told below
  await announced(bed, child)
  const payload = await payloadOf(world, ports)
  const atMs = performance.now()
  stdin.write(`go\n${JSON.stringify(payload)}\n`)
  const started = await firstHeard(bed, heard)
  return {
    pid: started.pid,
    startedMs: started.atMs - atMs,
    entry: `${virtual(FUNCTION)}:${ports.executorBlocks}`,
    letLoose: () => writeFileSync(go, ''),
    async close() {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      stdin.end()
      await Promise.race([ended, wait(END_MS, undefined, { ref: false })])
    },
  }
}

async function firstHeard(bed: Testbed, heard: readonly Heard[]): Promise<Heard> {
  const deadline = Date.now() + STARTED_MS
  for (;;) {
    const [first] = heard
    if (first !== undefined) return first
    bed.assertAlive()
    if (Date.now() > deadline) throw new DiedError(`the agent heard nothing of the shim${bed.lastWords()}`)
    await wait(20)
  }
}

/** A folder in which a shim finds a Spark's version. */
function fakeSpark(bed: Testbed): string {
  const home = join(bed.dir, 'spark')
  mkdirSync(join(home, 'jars'), { recursive: true })
  writeFileSync(join(home, 'jars', `spark-core_2.13-${SPARK_VERSION}.jar`), '')
  return home
}

/** A JAVA_HOME whose java waits for the file `go`, and then is bench-load, bound where a JVM would be. */
function standIn(
  bed: Testbed,
  go: string,
  ports: FunctionPayload['ports'],
  loadWords: readonly (string | number)[],
): string {
  const home = join(bed.dir, 'java')
  const java = join(home, 'bin/java')
  const load = findProgram('bench-load') as string // `needs` has been looked at
  const ways = `-sink "$bind:${ports.executorBlocks}" -entry ${virtual(AGENT)}:${ports.driverBlocks}`
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(
    java,
    `#!/bin/sh
for bind; do :; done # the last word: where the shim has a JVM bind
while [ ! -e ${go} ]; do
  kill -0 $PPID || exit 1
  sleep 0.1
done
exec ${load} ${ways} ${loadWords.join(' ')}
`,
  )
  chmodSync(java, 0o755)
  return home
}

async function payloadOf(world: World, ports: FunctionPayload['ports']): Promise<FunctionPayload> {
  const driver = virtual(AGENT)
  return {
    version: 1,
    app: APP,
    address: virtual(FUNCTION),
    driverAddress: driver,
    token: await world.token(FUNCTION),
    relays: [...world.relays],
    ports,
    sparkVersion: SPARK_VERSION,
    confDir: {},
    maxLifetimeMs: LIFETIME_MS,
    pod: {
      name: 'bench-exec-1',
      uid: 'bench-1',
      namespace: 'default',
      labels: {},
      env: {
        SPARK_DRIVER_URL: `spark://CoarseGrainedScheduler@${driver}:${ports.driverRpc}`,
        SPARK_EXECUTOR_ID: '1',
        SPARK_EXECUTOR_CORES: '1',
        SPARK_EXECUTOR_MEMORY: '512m',
        SPARK_APPLICATION_ID: 'spark-bench',
      },
      memoryBytes: 2 ** 30,
      cpus: 1,
    },
  }
}
