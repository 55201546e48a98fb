/** The example of each command's --help, called as a shell calls it: as far as the room that does the work. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { runProgram } from '../../cli/program.ts'

/** What each command loads to do its work. */
const rooms = [
  ['../../driver-agent/submit.ts', 'runSubmit'],
  ['../../driver-agent/agent.ts', 'runAgent'],
  ['../../relay/server/run.ts', 'runRelay'],
  ['../../cli/doctor/run.ts', 'runDoctor'],
  ['../../executor-shim/exec.ts', 'runExec'],
  ['../../relay/token/run.ts', 'runToken'],
  ['../../executor-shim/main.ts', 'runShim'],
] as const

/** The arguments with which a shell that is given `line` calls our program. */
function wordsOf(line: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'slr-example-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const note = `#!/bin/sh\nprintf '%s\\0' "$@" >said\n`
  writeFileSync(join(folder, 'spark-lambda-relay'), note, { mode: 0o755 })
  // What else the examples name.
  writeFileSync(join(folder, 'pyspark'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(folder, 'payload.json'), '{}')
  const env = { PATH: `${folder}:${process.env.PATH}` }
  const { status, stderr } = spawnSync('sh', ['-c', line], { cwd: folder, env, encoding: 'utf8' })
  expect([status, stderr], line).toEqual([0, ''])
  return readFileSync(join(folder, 'said'), 'utf8').split('\0').slice(0, -1)
}

it.each(commands.map((command) => [command.name, command] as const))(
  'the example of %s is taken as it stands',
  async (name, { example }) => {
    const ran = vi.fn(async () => 0)
    for (const [room, runs] of rooms) vi.doMock(room, () => ({ [runs]: ran }))
    onTestFinished(() => {
      for (const [room] of rooms) vi.doUnmock(room)
    })
    const argv = wordsOf(example)
    expect(argv[0]).toBe(name)
    let said = ''
    const write = (text: string): void => {
      said += text
    }
    const exitCode = await runProgram({ argv, environment: {}, writeOut: write, writeError: write })
    expect([exitCode, said]).toEqual([0, ''])
    expect(ran).toHaveBeenCalledTimes(1)
  },
)
