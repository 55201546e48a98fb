/** What `submit` and `doctor` say, and do not do, on a machine that lacks something. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../../driver-agent/spawn.ts'

// Not in /tmp: functions have one of their own, which would hide the programs.
mkdirSync('.cache', { recursive: true })
const folder = mkdtempSync(resolve('.cache/missing-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A folder for PATH with these programs of the machine only. */
function pathWith(...programs: readonly string[]): string {
  const bin = mkdtempSync(join(folder, 'bin-'))
  for (const name of programs) {
    const found = findProgram(name, `/usr/bin:/usr/sbin:/bin:/sbin:${process.env.PATH}`)
    if (found === undefined) throw new Error(`this machine has no ${name}, which the test needs`)
    symlinkSync(found, join(bin, name))
  }
  return bin
}
const tools = ['sh', 'unshare', 'setpriv', 'ip', 'mount', 'env', 'mkdir', 'sleep', 'cat', 'true'] as const

const { JAVA_HOME: _java, SPARK_HOME: _spark, PYSPARK_PYTHON: _python, ...rest } = process.env

interface Called {
  readonly environment: NodeJS.ProcessEnv
  readonly before?: readonly string[]
  readonly args?: readonly string[]
}
function submit({ environment, before = [], args = ['submit', '--', 'job.py'] }: Called) {
  const [program = '', ...words] = [...before, process.execPath, 'cli/main.ts', ...args]
  const env = { ...rest, SLR_CACHE: join(folder, 'cache'), ...environment }
  return spawnSync(program, words, { env, encoding: 'utf8', timeout: 60_000 })
}

/** A user namespace in which nobody may make another, entered without any capability: what sysctl or seccomp do to users. */
const withoutNamespaces = [
  'unshare',
  '--user',
  '--map-root-user',
  'sh',
  '-c',
  'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --bounding-set=-all -- "$@"',
  'sh',
]

/** A view of the files in which setpriv is no program. */
const withoutSetpriv = [
  'unshare',
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
  '--mount',
  'sh',
  '-c',
  'mount --bind /dev/null "$(command -v setpriv)" && exec "$@"',
  'sh',
]

/** A network in which a user without rights may bind no port that we use. Takes root. */
const withoutPorts = [
  'unshare',
  '--net',
  'sh',
  '-c',
  'ip link set lo up && echo 32768 >/proc/sys/net/ipv4/ip_unprivileged_port_start && exec setpriv --reuid 65534 --clear-groups --inh-caps=-all --bounding-set=-all -- "$@"',
  'sh',
]

describe.skipIf(process.getuid?.() !== 0)('on a machine without a free port', () => {
  const needed = /no \d ports between 10000 and 32000 can be bound on this machine/
  // As a user without rights it may read nothing of root's: what it needs of files is this program alone.
  const environment = { SLR_CACHE: '/tmp/nowhere', HOME: '/nonexistent' }

  it('submit ends with 2 and one sentence, before anything is started', () => {
    const { status, stdout, stderr } = submit({ environment, before: withoutPorts })
    expect(stderr).toMatch(
      new RegExp(`^spark-lambda-relay: ${needed.source}; end what holds them .ss -ltnp.`),
    )
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })

  it('doctor ends with 2 and the remedy', () => {
    const { status, stdout } = submit({ environment, before: withoutPorts, args: ['doctor'] })
    expect(stdout).toMatch(new RegExp(`^MISSING +ports +${needed.source}\\n +-> end what holds them`, 'm'))
    expect(status).toBe(2)
  })
})

describe('submit ends with 2 and one sentence, before anything is started or downloaded,', () => {
  it.each([
    [
      'without Java',
      { environment: { PATH: pathWith(...tools, 'python3') } },
      /^spark-lambda-relay: Spark 4\.3\.0 needs Java 17 or later, and there is no java on PATH; (install|set JAVA_HOME)/,
    ],
    [
      'with a SPARK_HOME that holds none',
      { environment: { SPARK_HOME: '/nowhere' } },
      /^spark-lambda-relay: SPARK_HOME=\/nowhere holds no Spark .*; set it to an unpacked Spark/,
    ],
    [
      'without Python to download Spark',
      { environment: { PATH: pathWith(...tools, 'java') } },
      /^spark-lambda-relay: SPARK_HOME is not set, and to download Spark 4\.3\.0 takes Python 3\.11 or later with pip, which is not on PATH; install it .* or set SPARK_HOME/,
    ],
    [
      'without namespaces',
      { environment: {}, before: withoutNamespaces },
      /^spark-lambda-relay: .*namespace.*; .*max_user_namespaces/,
    ],
    [
      'without setpriv',
      { environment: {}, before: withoutSetpriv },
      /^spark-lambda-relay: the program setpriv is missing, .* rights of root; install util-linux 2\.32/,
    ],
  ] as const)('%s', (_what, called, sentence) => {
    const { status, stdout, stderr } = submit(called)
    expect(stderr).toMatch(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
})

describe('doctor ends with 2 and the remedy', () => {
  it('without Java', () => {
    const { status, stdout } = submit({
      environment: { PATH: pathWith(...tools, 'python3') },
      args: ['doctor'],
    })
    expect(stdout).toMatch(/^MISSING +Java .*\n +-> (install|set JAVA_HOME)/m)
    expect(stdout).toMatch(/\nNo job can run here: Java missing\.\n$/)
    expect(status).toBe(2)
  })

  it('without namespaces', () => {
    const { status, stdout } = submit({ environment: {}, before: withoutNamespaces, args: ['doctor'] })
    expect(stdout).toMatch(/^MISSING +namespaces .*\n +-> .*max_user_namespaces/m)
    expect(status).toBe(2)
  })

  it('without setpriv, with which functions lose the rights of root', () => {
    const { status, stdout } = submit({ environment: {}, before: withoutSetpriv, args: ['doctor'] })
    expect(stdout).toMatch(/^MISSING +namespaces +the program setpriv is missing.*\n +-> install util-linux/m)
    expect(stdout).toMatch(/^MISSING +programs +no setpriv: .*\n +-> install util-linux /m)
    expect(stdout).toMatch(/\nNo job can run here: namespaces, programs missing\.\n$/)
    expect(status).toBe(2)
  })

  it('with too few descriptors', () => {
    const before = ['sh', '-c', 'ulimit -n 128 && exec "$@"', 'sh']
    const { status, stdout } = submit({ environment: {}, before, args: ['doctor'] })
    expect(stdout).toMatch(
      /^MISSING +descriptors +only 128 open files are allowed.*\n +-> run: ulimit -n 65536/m,
    )
    expect(status).toBe(2)
  })
})

describe('on a machine whose PYSPARK_PYTHON does not fit its Spark', () => {
  const old = join(folder, 'python-3.6')
  const spark = join(folder, 'spark')
  const environment = { SPARK_HOME: spark, PYSPARK_PYTHON: old }
  beforeAll(() => {
    writeFileSync(old, '#!/bin/sh\necho "python 3.6.9"\n', { mode: 0o755 })
    for (const name of ['bin', 'jars']) mkdirSync(join(spark, name), { recursive: true })
    writeFileSync(join(spark, 'jars', 'spark-core_2.13-4.3.0.jar'), '')
    writeFileSync(join(spark, 'bin', 'spark-submit'), '#!/bin/sh\necho spark-submit ran\n', { mode: 0o755 })
  })

  it('a Python job is refused with 2', () => {
    const { status, stderr } = submit({ environment })
    expect(stderr).toBe(
      `spark-lambda-relay: Spark 4.3.0 needs Python 3.11 or later, but PYSPARK_PYTHON=${old} is Python 3.6.9; set PYSPARK_PYTHON to one that fits\n`,
    )
    expect(status).toBe(2)
  })

  it.each([
    [['--class', 'X', 'app.jar', '--py-files', 'x.py']],
    [['--py-files', 'x.py', '--class', 'X', 'app.jar']],
  ])('a job in Scala is not: %j', (job) => {
    const { status, stdout, stderr } = submit({ environment, args: ['submit', '--', ...job] })
    expect(stderr).not.toMatch(/Python/)
    expect(stdout).toBe('spark-submit ran\n')
    expect(status).toBe(0)
  })
})
