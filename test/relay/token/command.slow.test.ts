import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { generateKeyLine, KeyRing, parseKeys, TokenVerifier } from '../../../relay/token/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'slr-token-'))
afterAll(() => rmSync(folder, { recursive: true }))
const lines = [generateKeyLine('a', 'team-a-'), generateKeyLine('b', 'team-b-')].join('\n')
const file = join(folder, 'keys')
writeFileSync(file, lines, { mode: 0o600 })

function token(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const command = ['cli/main.ts', 'token', ...args]
  return spawnSync(process.execPath, command, { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } })
}
const base = ['--app', 'team-b-etl', '--address', '127.64.0.9']

describe('token', () => {
  it.each([
    ['a file', ['--secret-file', file], {}],
    ['SLR_SECRET', [], { SLR_SECRET: lines }],
  ])('prints one token that relays with the same keys take, signed by %s', async (_what, args, env) => {
    const printed = token(
      [...base, '--role', 'executor', '--generation', '7', '--expires', '2h', ...args],
      env,
    )
    expect(printed).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/),
    })
    const claims = await new TokenVerifier(KeyRing.of(parseKeys(lines, 'test'))).verify(printed.stdout.trim())
    expect(claims).toMatchObject({ app: 'team-b-etl', addr: '127.64.0.9', gen: 7, role: 'executor' })
    const lifetime = claims.exp - Date.now() / 1000
    expect(lifetime).toBeGreaterThan(7_190)
    expect(lifetime).toBeLessThan(7_201)
  })

  it('refuses to sign what no key covers, and says which prefixes there are, but no secret', () => {
    const refused = token(['--app', 'team-c', '--address', '127.64.0.9', '--secret-file', file])
    expect(refused).toMatchObject({ status: 2, stdout: '' })
    expect(refused.stderr).toBe(
      'spark-lambda-relay: none of the keys covers the application team-c; the prefixes are team-a- (a), team-b- (b)\n',
    )
  })

  it('refuses a file that others can read', () => {
    const open = join(folder, 'open')
    writeFileSync(open, lines, { mode: 0o644 })
    const refused = token([...base, '--secret-file', open])
    expect(refused.stderr).toBe(
      `spark-lambda-relay: --secret-file ${open} has mode 0644, so others can read it; run: chmod 600 ${open}\n`,
    )
    expect(refused.status).toBe(2)
  })
})
