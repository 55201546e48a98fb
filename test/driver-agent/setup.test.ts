/**
 * The searches for Java, Python and Spark. Programs of versions that no one machine has are
 * shell scripts that answer as those would; pip is one too, since Spark has 450 MB.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findJava, parseJavaVersion } from '../../driver-agent/java.ts'
import { findPython, pythonMisfit } from '../../driver-agent/python.ts'
import { ensureSpark, findSpark, versionAt } from '../../driver-agent/spark-home.ts'

let folder: string
let bin: string
let cache: string
let environment: NodeJS.ProcessEnv
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slr-setup-'))
  bin = join(folder, 'bin')
  cache = join(folder, 'cache')
  await mkdir(bin)
  environment = { PATH: bin, SLR_CACHE: cache }
})
afterEach(() => rm(folder, { recursive: true }))

async function program(name: string, script: string, where = bin): Promise<string> {
  await mkdir(where, { recursive: true })
  await writeFile(join(where, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return join(where, name)
}
const java = (version: string, where?: string) =>
  program('java', `echo 'openjdk version "${version}" 2025-04-15' >&2`, where)
const python = (name: string, version: string) => program(name, `echo "python ${version}"`)

describe('findJava', () => {
  it('reads the major version of old and new Javas', () => {
    expect(parseJavaVersion('java version "1.8.0_392"')).toBe(8)
    expect(parseJavaVersion('openjdk version "17.0.15" 2025-04-15')).toBe(17)
    expect(parseJavaVersion('openjdk version "25" 2025-09-16')).toBe(25)
    expect(parseJavaVersion('command not found')).toBeUndefined()
  })

  it('takes the one of JAVA_HOME before the one on PATH', async () => {
    const home = join(folder, 'jdk')
    await java('11.0.2')
    await java('17.0.15', join(home, 'bin'))
    await expect(findJava('4.3.0', { ...environment, JAVA_HOME: home })).resolves.toMatchObject({
      home,
      version: 17,
    })
    await expect(findJava('3.5.7', environment)).resolves.toMatchObject({ version: 11 })
  })

  it.each([
    ['4.3.0', '11.0.2', /^Spark 4\.3\.0 needs Java 17 or later, but .* is Java 11; (set|install)/],
    ['3.5.7', '25.0.1', /^Spark 3\.5\.7 needs Java 8 to 22 \(best 17\), but .* is Java 25; (set|install)/],
  ])('tells for Spark %s that Java %s does not fit, and what to do', async (spark, version, sentence) => {
    await java(version)
    await expect(findJava(spark, environment)).rejects.toThrow(sentence)
    await expect(findJava(spark, environment)).rejects.toMatchObject({ code: 'java', exitCode: 2 })
  })

  it('tells when there is none, and when what is there does not run', async () => {
    await expect(findJava('4.3.0', environment)).rejects.toThrow(
      /there is no java on PATH; (install|set JAVA_HOME=)/,
    )
    const broken = { ...environment, JAVA_HOME: folder }
    await expect(findJava('4.3.0', broken)).rejects.toThrow(`JAVA_HOME=${folder} does not run as one`)
  })
})

describe('findPython', () => {
  it('takes python3 when it fits, else the newest on PATH that does', async () => {
    const newest = await python('python3', '3.12.1')
    await python('python3.9', '3.9.18')
    const fitting = await python('python3.10', '3.10.13')
    await expect(findPython('4.3.0', environment)).resolves.toEqual({ program: newest, version: '3.12.1' })
    await expect(findPython('3.5.7', environment)).resolves.toEqual({ program: fitting, version: '3.10.13' })
  })

  it('passes over a name that runs nothing, as version managers leave them', async () => {
    await python('python3', '3.12.1')
    await program('python3.11', 'echo "python3.11: command not found" >&2; exit 127')
    const fitting = await python('python3.10', '3.10.13')
    await expect(findPython('3.5.7', environment)).resolves.toMatchObject({ program: fitting })
  })

  it('insists on PYSPARK_PYTHON where it is set', async () => {
    await python('python3', '3.12.1')
    const old = await python('mine', '3.9.1')
    const set = { ...environment, PYSPARK_PYTHON: old }
    await expect(findPython('4.3.0', set)).rejects.toThrow(
      `Spark 4.3.0 needs Python 3.11 or later, but PYSPARK_PYTHON=${old} is Python 3.9.1; set PYSPARK_PYTHON to one that fits`,
    )
    await expect(findPython('3.5.7', set)).resolves.toEqual({ program: old, version: '3.9.1' })
  })

  it('tells which ones would do when none is there', async () => {
    await expect(findPython('3.5.7', environment)).rejects.toThrow(
      /needs Python 3\.8 to 3\.11 .*there is none on PATH; install one/,
    )
  })
})

describe('pythonMisfit', () => {
  it('finds nothing wrong with a Python that fits, nor where there is none', async () => {
    await expect(pythonMisfit('4.3.0', environment)).resolves.toBeUndefined()
    await python('python3', '3.12.1')
    await expect(pythonMisfit('4.3.0', environment)).resolves.toBeUndefined()
  })

  it('tells of python3 when it does not fit, though another one would', async () => {
    await python('python3', '3.12.1')
    await expect(pythonMisfit('3.5.7', environment)).resolves.toBe(
      'Python functions on Spark 3.5.7 need Python 3.8 to 3.11, but python3 is Python 3.12.1; set PYSPARK_PYTHON to one that fits',
    )
    const fitting = await python('python3.10', '3.10.13')
    await expect(pythonMisfit('3.5.7', environment)).resolves.toMatch(
      `; set PYSPARK_PYTHON to ${fitting} (Python 3.10.13)`,
    )
    const set = { ...environment, PYSPARK_PYTHON: fitting }
    await expect(pythonMisfit('3.5.7', set)).resolves.toBeUndefined()
  })

  it('tells of a PYSPARK_PYTHON that does not fit, or does not run', async () => {
    const old = await python('mine', '3.9.1')
    const misfit = (program: string) => pythonMisfit('4.3.0', { ...environment, PYSPARK_PYTHON: program })
    await expect(misfit(old)).resolves.toMatch(`but PYSPARK_PYTHON=${old} is Python 3.9.1; set`)
    await expect(misfit('/nowhere')).resolves.toMatch('PYSPARK_PYTHON=/nowhere does not run as one; set')
  })
})

describe('ensureSpark', () => {
  /** A Python whose pip unpacks a Spark of no size after `seconds`, and counts its runs in `folder`/runs. */
  const pip = (seconds = 0) =>
    program(
      'python3',
      `case "$*" in
        *"pip install"*) echo run >>${folder}/runs; /bin/sleep ${seconds}
          while [ "$1" != --target ]; do shift; done
          /bin/mkdir -p "$2/pyspark/bin" "$2/pyspark/jars"; : >"$2/pyspark/bin/spark-submit"
          : >"$2/pyspark/jars/spark-core_2.13-\${3#pyspark==}.jar";;
        *) echo "python 3.11.7";;
      esac`,
    )
  const runs = async () => (await readFile(join(folder, 'runs'), 'utf8')).split('\n').length - 1

  it('downloads once, and then finds it', async () => {
    await pip()
    const home = await ensureSpark('4.3.0', { environment })
    expect(home).toBe(join(cache, 'spark-4.3.0', 'pyspark'))
    expect(versionAt(home)).toBe('4.3.0')
    await expect(ensureSpark('4.3.0', { environment })).resolves.toBe(home)
    expect(await runs()).toBe(1)
    expect(await readdir(cache)).toEqual(['spark-4.3.0'])
  })

  it('downloads once when two ask at the same time', async () => {
    await pip(0.3)
    const told: string[] = []
    const options = { environment, tell: (sentence: string) => told.push(sentence) }
    const homes = await Promise.all([ensureSpark('4.3.0', options), ensureSpark('4.3.0', options)])
    expect(new Set(homes).size).toBe(1)
    expect(await runs()).toBe(1)
    expect(told).toContain('another process is downloading Spark 4.3.0, waiting for it')
  })

  it('is not held up by what a killed download left behind', async () => {
    await pip()
    const dead = 2 ** 22 + 1 // above every pid that Linux gives
    await mkdir(join(cache, `spark-4.3.0.partial-${dead}`), { recursive: true })
    await writeFile(join(cache, 'spark-4.3.0.lock'), String(dead))
    await ensureSpark('4.3.0', { environment })
    expect(await readdir(cache)).toEqual(['spark-4.3.0'])
  })

  it('tells why pip failed, and leaves nothing behind', async () => {
    await program(
      'python3',
      'case "$*" in *pip*) echo "ERROR: no network" >&2; exit 1;; *) echo "python 3.11.7";; esac',
    )
    await expect(ensureSpark('4.3.0', { environment, isShown: false })).rejects.toThrow(
      'Spark 4.3.0 could not be downloaded (ERROR: no network); see whether pip reaches its index, or set SPARK_HOME',
    )
    expect(await readdir(cache)).toEqual([])
  })

  it('tells how to get pip where Python has none', async () => {
    await program(
      'python3',
      'case "$*" in *pip*) echo "python3: No module named pip" >&2; exit 1;; *) echo "python 3.11.7";; esac',
    )
    await expect(ensureSpark('4.3.0', { environment, isShown: false })).rejects.toThrow(
      /apt-get install python3-pip/,
    )
  })
})

describe('findSpark', () => {
  it('takes SPARK_HOME as it is, and refuses one that is no Spark or too old', async () => {
    const home = join(folder, 'spark')
    await mkdir(join(home, 'jars'), { recursive: true })
    await expect(findSpark('4.3.0', { environment: { ...environment, SPARK_HOME: home } })).rejects.toThrow(
      `SPARK_HOME=${home} holds no Spark`,
    )
    await program('spark-submit', '', join(home, 'bin'))
    await writeFile(join(home, 'jars', 'spark-core_2.12-3.4.4.jar'), '')
    await expect(findSpark('4.3.0', { environment: { ...environment, SPARK_HOME: home } })).rejects.toThrow(
      'is Spark 3.4.4, but 3.5 or later is needed',
    )
    await rm(join(home, 'jars', 'spark-core_2.12-3.4.4.jar'))
    await writeFile(join(home, 'jars', 'spark-core_2.12-3.5.7.jar'), '')
    await expect(findSpark('4.3.0', { environment: { ...environment, SPARK_HOME: home } })).resolves.toEqual({
      home,
      version: '3.5.7',
    })
    expect(existsSync(cache)).toBe(false)
  })
})
