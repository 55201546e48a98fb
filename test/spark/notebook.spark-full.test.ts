/** Drivers that nobody starts through us: a Jupyter kernel, a Connect server, over `agent --print-env`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pickFreePorts } from '../../driver-agent/free-ports.ts'
import { liveRunDirs, runDirBase } from '../../driver-agent/run-dir.ts'
import { jobs, root, type SparkVersion, sparkHomeOf, sparkVersions } from './harness.ts'
import { notebookPython } from './notebook-python.ts'
import { processes, until } from './processes.ts'

const sums = Array.from({ length: 6 }, (_, k) => 10_000 * k + (6 * 9_999 * 10_000) / 2)
const pairs = Array.from({ length: 4 }, (_, k) => `(${k}, ${25 * k + (4 * 24 * 25) / 2})`)
const agent = `"${process.execPath}" "${join(root, 'bin', 'spark-lambda-relay.js')}" agent`

let folder: string
let shell: ChildProcess | undefined
let output = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slr-notebook-'))
  mkdirSync(join(folder, 'run'))
  mkdirSync(join(folder, 'conf'))
  const conf = { 'spark.executor.instances': 2, 'spark.executor.memory': '600m', 'spark.executor.cores': 1 }
  const lines = Object.entries(conf).map(([key, value]) => `${key} ${value}\n`)
  writeFileSync(join(folder, 'conf', 'spark-defaults.conf'), lines.join(''))
  output = ''
})
afterEach(async () => {
  shell?.kill('SIGKILL')
  await until('the agent ended with its shell', () => agents().length === 0, 15_000)
  rmSync(folder, { recursive: true, force: true })
})

/** Agents of this test: their environment names its folder, so nobody else's is meant. */
function agents(): number[] {
  return processes()
    .filter((one) => / agent --owner /.test(one.command))
    .filter((one) => readEnvironment(one.pid).includes(folder))
    .map((one) => one.pid)
}

function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}

/** Runs a script in a shell as a user would type it; settles with its exit code. */
function bash(version: SparkVersion, script: string): Promise<number | null> {
  const environment = {
    ...process.env,
    SPARK_HOME: sparkHomeOf(version),
    SPARK_CONF_DIR: join(folder, 'conf'),
    XDG_RUNTIME_DIR: join(folder, 'run'),
    PYSPARK_PYTHON: notebookPython(),
    PATH: `${join(notebookPython(), '..')}:${process.env.PATH}`,
  }
  const started = spawn('bash', ['-c', script], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  shell = started
  for (const stream of [started.stdout, started.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString('utf8')
    })
  }
  return new Promise((resolve) => {
    started.once('exit', (code) => resolve(code))
  })
}

describe.each(sparkVersions)('a notebook on Spark %s', (version) => {
  it('works unchanged over an agent, through three restarts of its kernel', async () => {
    const result = join(folder, 'result.json')
    const code = await bash(
      version,
      `set -e; eval "$(${agent} --print-env)"; python '${join(jobs, 'notebook.py')}' '${result}'`,
    )
    expect(code, output.slice(-6_000)).toBe(0)
    const answers = JSON.parse(readFileSync(result, 'utf8')) as string[]
    expect(answers).toHaveLength(3)
    for (const answer of answers) {
      expect(answer).toContain(`ANSWER [${sums.join(', ')}] [${pairs.join(', ')}]`)
      expect(answer).toContain('k8s://http://127.0.0.1:')
    }
    // A new application each time.
    expect(new Set(answers.map((answer) => answer.split(' ').at(-2))).size).toBe(3)
  })
})

describe('a Spark Connect client', () => {
  it('works over an agent', async () => {
    const [port] = await pickFreePorts(1)
    const result = join(folder, 'result.json')
    const code = await bash(
      '4.3.0',
      `set -e
       eval "$(${agent} --print-env)"
       spark-submit --class org.apache.spark.sql.connect.service.SparkConnectServer \\
         --conf spark.connect.grpc.binding.port=${port} > server.log 2>&1 &
       server=$!
       trap 'kill $server; wait $server || true' EXIT
       python '${join(jobs, 'connect_client.py')}' 'sc://127.0.0.1:${port}' '${result}'`,
    )
    expect(code, output.slice(-6_000)).toBe(0)
    expect(JSON.parse(readFileSync(result, 'utf8'))).toEqual({ sums, squares: 332_833_500 })
  })
})

describe('the agent in the background', () => {
  it('ends when it is told to', async () => {
    const code = await bash('4.3.0', `eval "$(${agent} --print-env)" && ${agent} --stop && sleep 0.1`)
    expect(code, output).toBe(0)
    expect(await liveRunDirs(runDirBase({ XDG_RUNTIME_DIR: join(folder, 'run') }))).toEqual([])
    expect(agents()).toEqual([])
  })

  it('that cannot start leaves a false behind, so that what follows does not run', async () => {
    const code = await bash(
      '4.3.0',
      `export SPARK_HOME=/nowhere; eval "$(${agent} --print-env)" && echo RUNS`,
    )
    expect(code).toBe(1)
    expect(output).toMatch(/^spark-lambda-relay: SPARK_HOME=\/nowhere holds no Spark/m)
    expect(output).not.toContain('RUNS')
  })
})
