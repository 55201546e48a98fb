/** The setup of a function on a machine whose setpriv is missing or does nothing: no function is started with rights of root. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { namespaceMode, unshareCommand } from '../../../driver-agent/local/namespace.ts'
import { SETUP_FAILED, setupCommand, setupScript } from '../../../driver-agent/local/setup-script.ts'
import { findProgram } from '../../../driver-agent/spawn.ts'

const setpriv = findProgram('setpriv', '/usr/sbin:/sbin:/usr/bin:/bin') ?? ''

/** Sets a function up with `instead` in the place of setpriv; its command writes what it may do. */
function setUp(instead: string | undefined) {
  const mode = namespaceMode()
  const script = setupScript({
    mode,
    mounts: instead === undefined ? [] : [{ do: 'bind', source: instead, target: setpriv, kind: 'file' }],
  })
  const { command, env } = setupCommand(script, ['grep', 'CapEff', '/proc/self/status'])
  const [program = '', ...args] = [...unshareCommand(mode), ...command]
  const stdio = ['ignore', 'pipe', 'pipe', 'ignore', 'ignore'] as const
  return spawnSync(program, args, {
    stdio: [...stdio],
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
  })
}

/** A program of the name that a real one would have. */
function fake(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'slr-setpriv-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'setpriv'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return join(folder, 'setpriv')
}

describe('the setup of a function', () => {
  it('takes rights over mounts and networks from the command', () => {
    const { status, stdout } = setUp(undefined)
    expect(status).toBe(0)
    const capabilities = BigInt(`0x${stdout.split('\t')[1]?.trim()}`)
    for (const capability of [12n, 21n]) expect(capabilities & (1n << capability)).toBe(0n)
  })

  it('fails without setpriv, before the command runs', () => {
    const { status, stdout, stderr } = setUp('/dev/null')
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^spark-lambda-relay: setpriv is missing, .*: install util-linux$/m)
    expect(status).toBe(SETUP_FAILED)
  })

  it.each([
    ['does not know how, as that of BusyBox', 'echo "setpriv: unrecognized option" >&2; exit 1'],
    ['does nothing', 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'],
  ])('fails with a setpriv that %s', (_what, script) => {
    const { status, stdout, stderr } = setUp(fake(script))
    expect(stdout).toBe('')
    expect(stderr).toMatch(
      /^spark-lambda-relay: setpriv does not take the rights of root .*: install that of util-linux$/m,
    )
    expect(status).toBe(SETUP_FAILED)
  })
})
