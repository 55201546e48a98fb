/** `submit` and `doctor` where functions cannot be isolated: on another system than Linux, and beside an `unshare` that fails. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slr-platform-'))
  for (const name of ['bin', 'empty/cache', 'empty/run', 'empty/tmp', 'spark/bin', 'spark/jars'])
    mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'spark/jars/spark-core_2.13-4.3.0.jar'), '')
  program('spark/bin/spark-submit', `: >${folder}/empty/spark-submit-was-started`)
})
afterEach(() => rmSync(folder, { recursive: true }))

function program(path: string, script: string): void {
  writeFileSync(join(folder, path), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

/** All that a run would leave goes below `empty`. */
function run(args: readonly string[], environment: NodeJS.ProcessEnv) {
  return spawnSync(process.execPath, ['cli/main.ts', ...args], {
    env: {
      ...process.env,
      SPARK_HOME: join(folder, 'spark'),
      SLR_CACHE: join(folder, 'empty/cache'),
      XDG_RUNTIME_DIR: join(folder, 'empty/run'),
      TMPDIR: join(folder, 'empty/tmp'),
      ...environment,
    },
    encoding: 'utf8',
    timeout: 60_000,
  })
}

function files(): readonly string[] {
  return readdirSync(join(folder, 'empty'), { recursive: true }).map(String).sort()
}

const machines = [
  {
    name: 'that is no Linux',
    says: /the local provider needs Linux namespaces, and this is macOS/,
    remedy: /run it in a Linux virtual machine or a privileged container/,
    environment(): NodeJS.ProcessEnv {
      const preload = join(folder, 'darwin.mjs')
      writeFileSync(preload, "Object.defineProperty(process, 'platform', { value: 'darwin' })\n")
      return { NODE_OPTIONS: `--import=${preload}` }
    },
  },
  {
    name: 'whose unshare fails',
    says: /namespaces? .*unshare: unshare failed: Operation not permitted/,
    remedy: /--privileged|run as root/,
    environment(): NodeJS.ProcessEnv {
      program('bin/unshare', 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1')
      return { PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter) }
    },
  },
]

describe.each(machines)('on a machine $name', ({ says, remedy, environment }) => {
  it('submit ends with 2 and one line, and has started nothing', () => {
    const { status, stdout, stderr } = run(['submit', '--', 'job.py'], environment())
    expect(stderr).toMatch(/^spark-lambda-relay: [^\n]+\n$/)
    expect(stderr).toMatch(says)
    expect(stderr).toMatch(remedy)
    expect(stdout).toBe('')
    expect(status).toBe(2)
    expect(files()).toEqual(['cache', 'run', 'tmp'])
  })

  it('doctor ends with 2 and one line of what is missing, and the remedy', () => {
    const { status, stdout, stderr } = run(['doctor'], environment())
    const lines = stdout.split('\n')
    const missing = lines.filter((line) => line.startsWith('MISSING'))
    expect(missing).toEqual([expect.stringMatching(/^MISSING +namespaces /)])
    expect(missing[0]).toMatch(says)
    expect(lines[lines.indexOf(missing[0] ?? '') + 1]).toMatch(remedy)
    expect(stdout).toMatch(/\nNo job can run here: namespaces missing\.\n$/)
    expect(stderr).toBe('')
    expect(status).toBe(2)
    expect(files()).toEqual(['cache', 'run', 'tmp'])
  })
})

it('a machine that has all starts Spark: what was started would be seen above', () => {
  expect(run(['submit', '--', 'job.py'], {}).stdout).toBe('')
  expect(files()).toContain('spark-submit-was-started')
})
