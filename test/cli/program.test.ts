import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { environmentName } from '../../cli/options/option.ts'
import { runProgram } from '../../cli/program.ts'

async function run(argv: readonly string[], environment: Record<string, string> = {}) {
  let out = ''
  let error = ''
  const exitCode = await runProgram({
    argv,
    environment,
    writeOut: (text) => {
      out += text
    },
    writeError: (text) => {
      error += text
    },
  })
  return { exitCode, out, error }
}

describe('the command line', () => {
  it.each([
    [
      'no command',
      [],
      'no command was given; the commands are submit, agent, relay, doctor, exec, token (see --help)',
    ],
    ['an unknown command', ['nope'], 'there is no command nope;'],
    ['an unknown option', ['relay', '--foo'], "unknown option '--foo'"],
    [
      'an unknown option before --',
      ['submit', '--max-exec', '3', '--', 'job.py'],
      "unknown option '--max-exec'",
    ],
    [
      'an option without its value',
      ['relay', '--listen'],
      "option '--listen <host:port|unix:path>' argument missing",
    ],
    ['a number out of range', ['relay', '--max-links', '0'], '--max-links 0: must be 2 to 1000000'],
    ['a number with a fraction', ['relay', '--max-links', '2.5'], '--max-links 2.5: must be 2 to 1000000'],
    [
      'a time out of range',
      ['relay', '--silence', '1h'],
      '--silence 1h: must be 500ms to 3m (such as 500ms, 6s, 10m, 2h)',
    ],
    [
      'a size without meaning',
      ['relay', '--link-queue', '64MB'],
      '--link-queue 64MB: must be 1MiB to 4GiB (bytes, or such as 64KiB, 32MiB, 1GiB)',
    ],
    [
      'a port too high',
      ['relay', '--listen', '127.0.0.1:65536'],
      '--listen 127.0.0.1:65536: must be host:port, [ipv6]:port or unix:/path',
    ],
    [
      'a Unix socket for metrics',
      ['relay', '--metrics', 'unix:/run/m'],
      '--metrics unix:/run/m: must be host:port or [ipv6]:port',
    ],
    [
      'a URL of another kind',
      ['agent', '--relay', 'http://relay:1'],
      '--relay http://relay:1: must be tcp://host:port, tls://host:port, ws://host:port, wss://host:port, unix:/path',
    ],
    [
      'a Spark that is too old',
      ['agent', '--spark-version', '3.4.1'],
      '--spark-version 3.4.1: must be a version from 3.5.0 on, such as 3.5.7 or 4.3.0',
    ],
    [
      'an address that is not virtual',
      ['token', '--app', 'a', '--address', '127.0.0.1'],
      '--address 127.0.0.1: must be an address within 127.64.0.0/10',
    ],
    ['an option that must be given', ['token', '--app', 'a'], '--address is missing'],
    ['submit without a program', ['submit'], 'submit needs what spark-submit is to run, behind --'],
    [
      'exec without a command',
      ['exec', '--relay', 'tcp://h:1', '--app', 'a', '--address', '127.64.0.2'],
      'exec needs a command to run, behind --',
    ],
    ['one half of TLS', ['relay', '--tls-cert', 'cert.pem'], '--tls-cert and --tls-key belong together'],
    [
      'times that cannot work',
      ['relay', '--keepalive', '4s'],
      '--keepalive 4000ms: must be at most half of --silence, which is 6000ms',
    ],
    [
      'a relay and another inside',
      ['agent', '--relay', 'tcp://h:1', '--relay-listen', '127.0.0.1:0'],
      '--relay-listen is for the relay inside',
    ],
    [
      'a password in sight',
      ['relay', '--redis', 'redis://u:hunter2@h:1'],
      '--redis: a password on a command line is seen by everyone',
    ],
  ])('answers %s with one sentence and 2', async (_what, argv, sentence) => {
    const { exitCode, out, error } = await run(argv)
    expect(error).toMatch(/^spark-lambda-relay: [^\n]+\n$/)
    expect(error).toContain(sentence)
    expect(error).not.toContain('hunter2')
    expect(out).toBe('')
    expect(exitCode).toBe(2)
  })

  it('names the variable when the wrong value came from the environment', async () => {
    const { exitCode, error } = await run(['relay'], { SLR_MAX_LINKS: 'many' })
    expect(error).toBe('spark-lambda-relay: SLR_MAX_LINKS=many: must be 2 to 1000000\n')
    expect(exitCode).toBe(2)
  })

  it('lets the command line win over the environment', async () => {
    const { error } = await run(['relay', '--max-links', '1'], { SLR_MAX_LINKS: 'many' })
    expect(error).toContain('--max-links 1: must be')
  })

  it('prints the version', async () => {
    expect(await run(['--version'])).toEqual({
      exitCode: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      error: '',
    })
  })

  it('names every command but those for its own children', async () => {
    const { out } = await run(['--help'])
    for (const { name, hidden } of commands) expect(out.includes(`\n  ${name} `), name).toBe(!hidden)
  })

  it.each(commands.map((command) => [command.name, command] as const))(
    'explains every option of %s',
    async (name, command) => {
      const { exitCode, out } = await run([name, '--help'])
      expect(exitCode).toBe(0)
      const words = out.replaceAll(/\s+/g, ' ')
      expect(words).toContain(`Example: ${command.example}`)
      for (const option of Object.values(command.table)) {
        expect(words.includes(`${option.flag} `), option.flag).toBe(!option.hidden)
        if (option.hidden) continue
        expect(words, option.flag).toContain(environmentName(option))
        expect(words, option.flag).toContain(option.says)
        if (option.defaultText !== undefined) expect(words).toContain(`default ${option.defaultText}`)
      }
    },
  )

  it('shows how to keep a token so that exec takes the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'slr-example-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const example = commands.find(({ name }) => name === 'token')?.example
    const inShell = `umask 022; says() { echo "$0"; }; ${example?.replace('spark-lambda-relay', 'says')}`
    execFileSync('sh', ['-c', inShell, 'a token'], { cwd: folder })
    expect(readFileSync(join(folder, 'token'), 'utf8')).toBe('a token\n')
    expect(statSync(join(folder, 'token')).mode & 0o777).toBe(0o600)
  })

  it('says of SLR_SECRET that the command of exec can read it, and what to give instead', async () => {
    const words = (await run(['exec', '--help'])).out.replaceAll(/\s+/g, ' ')
    expect(words).toMatch(/SLR_SECRET [^(]*the command can read from \/proc[^(]*: rather give the file/)
  })

  it('has every default inside of its own range', () => {
    for (const { table } of commands) {
      for (const option of Object.values(table)) {
        if (option.defaultText === undefined || option.defaultText === 'no limit') continue
        expect(option.schema().safeParse(option.defaultText).data, option.flag).toEqual(option.default)
      }
    }
  })
})
