/**
 * The same Spark job in two worlds: through the relay, executors as functions in namespaces of
 * their own; and beside it executors in one shared network namespace, each JVM on an address of
 * its own, nothing of ours in the path (Spark's own standalone master places them).
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findSpark } from '../../driver-agent/spark-home.ts'
import { readMachineUsage } from '../measure/machine-usage.ts'
import { readProcessTable } from '../measure/process-usage.ts'
import { NOISE, type Sample } from '../measure/sample.ts'
import { root } from '../testbed/programs.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'
import type { Contestant } from './contestant.ts'

export const EXECUTORS = 4
/** Unless SPARK_HOME says otherwise. */
const SPARK_VERSION = '4.3.0'
/** 156 bytes each in the shuffle files: 1.1 GiB. */
const ROWS = 7_500_000
/** Each run asks Spark what it was. */
const LEAST_SHUFFLED_GIB = 1
const LIMIT_MS = 240_000
/** What Spark and the functions get to leave in order. */
const LEAVE_MS = 20_000

const neverDialled = (): Promise<never> => Promise.reject(new Error('Spark is no entry to dial'))

const moreVersions = async (): Promise<Readonly<Record<string, string>>> => ({
  spark: (await findSpark(SPARK_VERSION, { environment: process.env })).version,
})

export function relayed(isEncrypted: boolean): Contestant {
  return relayedFrom(isEncrypted, isEncrypted ? 'ours-encrypted' : 'ours', root)
}

function relayedFrom(isEncrypted: boolean, name: string, at: string): Contestant {
  return {
    name,
    note: `submit, local provider, one relay${isEncrypted ? '; spark.authenticate and network crypto on' : ''}`,
    isOurs: true,
    needs: ['java', 'python3'],
    spark: { isEncrypted, root: at },
    moreVersions,
    at: (other, folder) => relayedFrom(isEncrypted, other, folder),
    start: neverDialled,
  }
}

export function shared(isEncrypted: boolean): Contestant {
  return {
    name: isEncrypted ? 'shared-encrypted' : 'shared',
    note: `Spark standalone, every JVM on a 127.64 address of one namespace, no relay${isEncrypted ? '; encrypted alike' : ''}`,
    isOurs: false,
    needs: ['java', 'python3'],
    spark: { isEncrypted },
    moreVersions,
    start: neverDialled,
  }
}

/** One run of the sort. `bed` ends everything afterwards. */
export async function runSpark(contestant: Contestant, bed: Testbed): Promise<Sample> {
  const driver = await startDriver(contestant, bed, {
    memory: '1g',
    settings: {
      'spark.driver.memory': '1g',
      'spark.sql.shuffle.partitions': '16',
      'spark.sql.adaptive.enabled': 'false',
      // The bytes that go over the wire are those of the rows.
      'spark.shuffle.compress': 'false',
      'spark.ui.enabled': 'false',
    },
    program: [join(root, 'bench/spark/job.py'), String(ROWS), String(EXECUTORS), bed.dir],
  })
  const ended = once(driver, 'exit')
  const sample = await timed(bed)
  // It leaves in order; what is still there after this is ended with the testbed.
  await Promise.race([ended, wait(LEAVE_MS, undefined, { ref: false })])
  return sample
}

export interface SparkJob {
  /** Of an executor's heap, as Spark writes it. */
  readonly memory: string
  readonly settings: Readonly<Record<string, string>>
  /** What spark-submit takes behind its options. */
  readonly program: readonly string[]
  /** SPARK_CONF_DIR. Default: Spark's own. */
  readonly confDir?: string
}

/** Starts the job's driver, and in the world without us all that it needs. Answers spark-submit's process. */
export async function startDriver(
  contestant: Contestant,
  bed: Testbed,
  job: SparkJob,
): Promise<ChildProcess> {
  const { isEncrypted, root: at } = contestant.spark ?? { isEncrypted: false }
  const { home } = await findSpark(SPARK_VERSION, { environment: process.env })
  const env: NodeJS.ProcessEnv = { ...process.env, SPARK_HOME: home }
  if (job.confDir !== undefined) env.SPARK_CONF_DIR = job.confDir
  const settings: Record<string, string> = {
    'spark.executor.memory': job.memory,
    'spark.executor.cores': '1',
    'spark.executor.instances': String(EXECUTORS),
    'spark.cores.max': String(EXECUTORS),
    // The agent starts executors as Spark's own Kubernetes image does: heap as large as it gets, from
    // the start. Standalone workers say -Xmx alone, which makes for other collections.
    'spark.executor.extraJavaOptions': `-Xms${job.memory}`,
    // Said in both cases: the agent turns both on where nothing is said.
    'spark.authenticate': String(isEncrypted),
    'spark.network.crypto.enabled': String(isEncrypted),
    ...job.settings,
  }
  if (at === undefined) return await startStandalone(bed, home, env, settings, job.program)
  const conf = Object.entries(settings).flatMap(([name, value]) => ['--conf', `${name}=${value}`])
  const submit = ['submit', '--provider', 'local', '--max-executors', String(EXECUTORS)]
  const args = [join(at, 'cli/main.ts'), ...submit, '--', ...conf, ...job.program]
  return bed.start('sender', process.execPath, args, { env })
}

async function startStandalone(
  bed: Testbed,
  home: string,
  env: NodeJS.ProcessEnv,
  settings: Readonly<Record<string, string>>,
  program: readonly string[],
): Promise<ChildProcess> {
  const spark = (name: string): string => join(home, 'bin', name)
  const driver = '127.64.0.1'
  const at = (address: string): NodeJS.ProcessEnv => ({
    ...env,
    SPARK_LOCAL_IP: address,
    SPARK_WORKER_DIR: join(bed.dir, 'work'),
    SPARK_LOCAL_DIRS: join(bed.dir, 'local'),
    SPARK_NO_DAEMONIZE: '1',
    SPARK_DAEMON_MEMORY: '512m',
  })
  const secret = { 'spark.authenticate.secret': 'bench' }
  const all = settings['spark.authenticate'] === 'true' ? { ...settings, ...secret } : settings
  const properties = bed.file(
    'spark.conf',
    Object.entries(all)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  )
  const [port, ui] = [await bed.port(), await bed.port()]
  const master = [
    'org.apache.spark.deploy.master.Master',
    '--host',
    driver,
    '--port',
    port,
    '--webui-port',
    ui,
  ]
  bed.start('helper', spark('spark-class'), [...master, '--properties-file', properties], { env: at(driver) })
  await bed.listening(port, 30_000)
  for (let n = 0; n < EXECUTORS; n += 1) {
    const address = `127.64.0.${n + 2}`
    const worker = [
      'org.apache.spark.deploy.worker.Worker',
      '--host',
      address,
      '--cores',
      1,
      '--memory',
      '2g',
    ]
    const rest = [
      '--webui-port',
      await bed.port(),
      '--properties-file',
      properties,
      `spark://${driver}:${port}`,
    ]
    bed.start('helper', spark('spark-class'), [...worker, ...rest], { env: at(address) })
  }
  const conf = ['--master', `spark://${driver}:${port}`, '--properties-file', properties]
  const host = ['--conf', `spark.driver.host=${driver}`, '--conf', `spark.driver.bindAddress=${driver}`]
  return bed.start('sender', spark('spark-submit'), [...conf, ...host, ...program], { env: at(driver) })
}

async function timed(bed: Testbed): Promise<Sample> {
  const [before, machineBefore] = [await passMark(bed, 'start'), readMachineUsage()]
  const atMs = performance.now()
  const [after, machineAfter] = [await passMark(bed, 'end'), readMachineUsage()]
  const seconds = (performance.now() - atMs) / 1_000
  await passMark(bed, 'shuffled')
  const shuffledGib = shuffledGibOf(readFileSync(join(bed.dir, 'shuffled'), 'utf8'))
  const kinds = ['jvm', 'relay', 'shim', 'agent', 'other'] as const
  const cpu = Object.fromEntries(kinds.map((kind) => [kind, (after[kind] ?? 0) - (before[kind] ?? 0)]))
  const all = kinds.reduce((sum, kind) => sum + (cpu[kind] ?? 0), 0)
  const job = (cpu.jvm ?? 0) + (cpu.other ?? 0)
  const stealCores = (machineAfter.stealS - machineBefore.stealS) / seconds
  const othersS = Math.max(0, machineAfter.busyS - machineBefore.busyS - all)
  return {
    wallS: Number(readFileSync(join(bed.dir, 'end'), 'utf8')),
    jobCpuS: job,
    relayCpuS: cpu.relay ?? 0,
    shimsCpuS: cpu.shim ?? 0,
    agentCpuS: cpu.agent ?? 0,
    oursOfJob: ((cpu.relay ?? 0) + (cpu.shim ?? 0)) / job,
    allOfJob: ((cpu.relay ?? 0) + (cpu.shim ?? 0) + (cpu.agent ?? 0)) / job,
    shuffledGib,
    hrtimersGib: (machineAfter.hrtimers - machineBefore.hrtimers) / shuffledGib,
    stealCores,
    [NOISE]: othersS / seconds + stealCores,
  }
}

/** What the job has written of the bytes of its shuffle, GiB. Throws DiedError: it was another job than was asked for. Pure. */
export function shuffledGibOf(text: string): number {
  const gib = Number(text) / 2 ** 30
  if (gib >= LEAST_SHUFFLED_GIB) return gib
  throw new DiedError(`${gib.toFixed(3)} GiB were shuffled, not ${LEAST_SHUFFLED_GIB} or more`)
}

/** CPU seconds of everything below us by kind, at the moment at which the job has left its mark. */
async function passMark(bed: Testbed, name: string): Promise<Record<string, number>> {
  const deadline = Date.now() + LIMIT_MS
  while (!existsSync(join(bed.dir, name))) {
    bed.assertAlive()
    if (Date.now() > deadline) throw new DiedError(`the job has not come to its ${name}${bed.lastWords()}`)
    await wait(20)
  }
  const cpu = cpuByKind()
  writeFileSync(join(bed.dir, `${name}.seen`), '')
  return cpu
}

function cpuByKind(): Record<string, number> {
  const table = readProcessTable()
  const isBelowUs = (pid: number): boolean => {
    for (let at = table.get(pid); at !== undefined; at = table.get(at.parent))
      if (at.parent === process.pid) return true
    return false
  }
  const cpu: Record<string, number> = {}
  for (const [pid, { cpuS }] of table) {
    if (!isBelowUs(pid)) continue
    const kind = kindOf(pid)
    cpu[kind] = (cpu[kind] ?? 0) + cpuS
  }
  return cpu
}

function kindOf(pid: number): string {
  let words: string[]
  try {
    words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return 'other'
  }
  if (words[0]?.endsWith('java')) return 'jvm'
  for (const [command, kind] of [
    ['relay', 'relay'],
    ['shim', 'shim'],
    ['submit', 'agent'],
  ] as const) {
    if (words.includes(command)) return kind
  }
  return 'other'
}
