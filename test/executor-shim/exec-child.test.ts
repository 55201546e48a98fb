import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { exitCodeOfSignal, findProgram, startChild } from '../../executor-shim/exec-child.ts'
import { commandEnvironment, enterCommand } from '../../executor-shim/exec-isolate.ts'

describe('the command of exec', () => {
  it('ends exec with its own code, or with 128 and the number of its signal', async () => {
    for (const [script, code] of [
      ['exit 0', 0],
      ['exit 41', 41],
      ['kill -TERM $$', 143],
      ['kill -KILL $$', 137],
    ] as const) {
      const child = startChild(['sh', '-c', script], process.env)
      expect(await child.exitCode).toBe(code)
      child.release()
    }
    expect(exitCodeOfSignal('SIGINT')).toBe(130)
  })

  it('is refused by name with 127 when there is no such program, 126 when it may not be run', () => {
    const thrown = (command: string): unknown => {
      try {
        startChild([command], process.env)
      } catch (error) {
        return error
      }
      return undefined
    }
    expect(thrown('no-such-program')).toMatchObject({
      exitCode: 127,
      message: 'no-such-program: no such program on PATH',
    })
    expect(thrown('/no/such/program')).toMatchObject({ exitCode: 127 })
    expect(thrown('/tmp')).toMatchObject({ exitCode: 126 })
    expect(thrown(import.meta.filename)).toMatchObject({
      exitCode: 126,
      message: expect.stringMatching(/chmod \+x/),
    })
  })

  it('is ended by SIGTERM when the tunnel is lost', async () => {
    const child = startChild(['sleep', '60'], process.env)
    await child.end()
    expect(await child.exitCode).toBe(143)
    child.release()
  })

  it.skipIf(process.getuid?.() !== 0)('is not over because a signal may not be sent to it', async () => {
    // As an ordinary user who runs sudo: started by root's child, which then gives up its rights.
    const script = `
      const { startChild } = await import(${JSON.stringify(import.meta.resolve('../../executor-shim/exec-child.ts'))})
      const child = startChild(['sh', '-c', 'sleep 1; exit 9'], process.env)
      setTimeout(() => process.setuid(65534), 100)
      for (const ms of [300, 500]) setTimeout(() => process.kill(process.pid, 'SIGTERM'), ms)
      console.log(await child.exitCode)
      process.exit()`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout.trim()).toBe('9')
  })

  it('is looked for in the folders of PATH, in order, and never in one that is named like it', () => {
    expect(findProgram('sh', '/no/such/folder:/bin')).toBe('/bin/sh')
    expect(findProgram('bin', '/')).toBeUndefined()
  })

  it('sees neither our keys nor how it was started', () => {
    const environment = commandEnvironment({
      PATH: '/bin',
      SLR_SECRET: 'x',
      SPARK_LAMBDA_RELAY_OUTER_NETWORK: 'net:[1]',
    })
    expect(environment).toEqual({ PATH: '/bin' })
  })
})

describe('the way into a namespace', () => {
  const all = 'CapEff:\t000001ffffffffff\n'
  const none = 'CapEff:\t0000000000000000\n'

  it('needs no user namespace as root with all capabilities', () => {
    expect(enterCommand(0, 0, all).slice(0, 3)).toEqual(['unshare', '--net', '--'])
  })

  it('leads through a user namespace for others, who keep their uid inside', () => {
    const command = enterCommand(1000, 100, none)
    expect(command.slice(0, 4)).toEqual(['unshare', '--user', '--map-root-user', '--net'])
    expect(command.join(' ')).toContain('--map-user=1000 --map-group=100')
    expect(enterCommand(0, 0, none)).toContain('--user') // a container's root
  })
})
