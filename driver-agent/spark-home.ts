/**
 * The Spark that a job runs on: SPARK_HOME, or one downloaded once with pip, which every
 * machine with Spark's Python has. Used by submit, agent, doctor, the demo and the tests.
 */
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sparkVersionAt } from '../executor-shim/spark-version.ts'
import { cacheDir } from './cache-dir.ts'
import { findPython, type Python, pythonRange } from './python.ts'
import { askProgram } from './run-program.ts'
import { SetupError } from './setup-error.ts'

export interface SparkInstallation {
  /** For SPARK_HOME: holds bin/spark-submit and jars/. */
  readonly home: string
  /** As `4.3.0`. */
  readonly version: string
}

export interface DownloadOptions {
  readonly environment: NodeJS.ProcessEnv
  /** Told what is going on, a sentence each. */
  readonly tell?: (sentence: string) => void
  /** pip may draw its progress on our stderr. Default: when that is a terminal. */
  readonly isShown?: boolean
}

const downloadLimitMs = 30 * 60_000

/**
 * SPARK_HOME if it is set, whatever its version; else Spark `sparkVersion`, downloaded if need
 * be (about 450 MB). Throws SetupError `spark` or `python`.
 */
export async function findSpark(sparkVersion: string, options: DownloadOptions): Promise<SparkInstallation> {
  const set = options.environment.SPARK_HOME
  // Whole: functions start in another folder than we.
  if (set !== undefined && set !== '') return { home: resolve(set), version: versionAt(set) }
  return { home: await ensureSpark(sparkVersion, options), version: sparkVersion }
}

/** The version of the Spark at `home`. Throws SetupError `spark` when there is none, or one before 3.5. */
export function versionAt(home: string): string {
  const version = jarsVersion(home)
  const isWhole = existsSync(join(home, 'bin', 'spark-submit'))
  if (version === undefined || !isWhole) {
    throw new SetupError(
      'spark',
      `SPARK_HOME=${home} holds no Spark (bin/spark-submit and jars/); set it to an unpacked Spark, or leave it unset to have one downloaded`,
    )
  }
  if (!/^(3\.[5-9]|[4-9])\./.test(version)) {
    throw new SetupError(
      'spark',
      `SPARK_HOME=${home} is Spark ${version}, but 3.5 or later is needed; set it to one, or leave it unset to have one downloaded`,
    )
  }
  return version
}

/** Where Spark `version` is, or will be after a download. */
export function downloadedSparkHome(version: string, environment: NodeJS.ProcessEnv): string {
  return join(cacheDir(environment), `spark-${version}`, 'pyspark')
}

/** Downloads Spark `version` unless it is there. Answers its SPARK_HOME. Throws SetupError `spark` or `python`. */
export async function ensureSpark(version: string, options: DownloadOptions): Promise<string> {
  const home = downloadedSparkHome(version, options.environment)
  if (isReady(home)) return home
  const folder = cacheDir(options.environment)
  await mkdir(folder, { recursive: true })
  const lock = join(folder, `spark-${version}.lock`)
  while (!(await takeLock(lock))) {
    options.tell?.(`another process is downloading Spark ${version}, waiting for it`)
    while (existsSync(lock) && (await isHeld(lock))) await sleep(500)
    if (isReady(home)) return home
  }
  try {
    if (!isReady(home)) await download(version, folder, options)
    return home
  } finally {
    await unlink(lock).catch(() => {})
  }
}

/** The Python whose pip downloads Spark `version`: pip refuses one that this Spark does not take. Throws SetupError `spark`. */
export async function findDownloader(version: string, environment: NodeJS.ProcessEnv): Promise<Python> {
  return await findPython(version, { ...environment, PYSPARK_PYTHON: '' }).catch(() => {
    const { from, to } = pythonRange(version)
    const wanted = Number.isFinite(to) ? `Python 3.${from} to 3.${to}` : `Python 3.${from} or later`
    throw new SetupError(
      'spark',
      `SPARK_HOME is not set, and to download Spark ${version} takes ${wanted} with pip, which is not on PATH; install it (Debian, Ubuntu: apt-get install python3-pip) or set SPARK_HOME`,
    )
  })
}

async function download(version: string, folder: string, options: DownloadOptions): Promise<void> {
  const python = await findDownloader(version, options.environment)
  const partial = join(folder, `spark-${version}.partial-${process.pid}`)
  await removeLeftOvers(folder, version)
  options.tell?.(`downloading Spark ${version} into ${folder}, about 450 MB`)
  const startedAt = performance.now()
  try {
    // pip writes into a folder of its own; what is renamed at the end is whole, whoever else did the same.
    const args = [
      '-m',
      'pip',
      'install',
      '--no-cache-dir',
      '--no-warn-script-location',
      '--disable-pip-version-check',
    ]
    const answer = await askProgram(python.program, [...args, '--target', partial, `pyspark==${version}`], {
      environment: options.environment,
      limitMs: downloadLimitMs,
      isShown: options.isShown ?? process.stderr.isTTY,
    })
    if (answer.code !== 0) throw new SetupError('spark', whyFailed(version, python.program, answer.text))
    await rename(partial, join(folder, `spark-${version}`)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  if (!isReady(join(folder, `spark-${version}`, 'pyspark'))) {
    throw new SetupError(
      'spark',
      `Spark ${version} was downloaded but is not whole; remove ${join(folder, `spark-${version}`)} and try again`,
    )
  }
  options.tell?.(`Spark ${version} is there after ${Math.round((performance.now() - startedAt) / 1000)} s`)
}

function whyFailed(version: string, python: string, text: string): string {
  if (/No module named pip/.test(text)) {
    return `Spark ${version} is downloaded with pip, which ${python} lacks; install it (Debian, Ubuntu: apt-get install python3-pip) or set SPARK_HOME`
  }
  const line =
    text
      .split('\n')
      .findLast((each) => /^\s*(error|warning)/i.test(each))
      ?.trim() ?? 'see above'
  return `Spark ${version} could not be downloaded (${line}); see whether pip reaches its index, or set SPARK_HOME`
}

function isReady(home: string): boolean {
  return existsSync(join(home, 'bin', 'spark-submit'))
}

/** The lock spares a second download; what keeps two from harming each other is the rename. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new SetupError(
        'spark',
        `the cache for Spark cannot be written (${(error as Error).message}); set SLR_CACHE to a folder of yours`,
      )
    }
    if (!(await isHeld(lock))) await unlink(lock).catch(() => {})
    return false
  }
}

async function isHeld(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, 'utf8').catch(() => ''))
  return pid === 0 ? existsSync(lock) && !(await isOld(lock)) : isAlive(pid)
}

/** Empty: its owner is between creating and writing it, or was killed there. */
async function isOld(lock: string): Promise<boolean> {
  await sleep(100)
  return (await readFile(lock, 'utf8').catch(() => 'gone')) === ''
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function removeLeftOvers(folder: string, version: string): Promise<void> {
  const prefix = `spark-${version}.partial-`
  for (const name of readdirSync(folder).filter((each) => each.startsWith(prefix))) {
    if (!isAlive(Number(name.slice(prefix.length))))
      await rm(join(folder, name), { recursive: true, force: true })
  }
}

/** As `versionAt`, undefined where it throws. */
export function attemptVersion(home: string): string | undefined {
  try {
    return versionAt(home)
  } catch {
    return undefined
  }
}

function jarsVersion(home: string): string | undefined {
  try {
    return sparkVersionAt(home)
  } catch {
    return undefined
  }
}
