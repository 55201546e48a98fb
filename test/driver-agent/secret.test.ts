import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { secretFileFor } from '../../driver-agent/secret.ts'
import { applicationName, createSigner } from '../../driver-agent/signer.ts'
import { generateKeyLine, KeyRing, TokenVerifier } from '../../relay/token/index.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slr-secret-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const none = { file: undefined, text: undefined, foreignRelay: false }

describe('the key of a run', () => {
  it('is a fresh one for the relay inside, which only this user can read', async () => {
    const file = await secretFileFor(none, dir)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const first = readFileSync(file, 'utf8')
    await secretFileFor(none, dir)
    expect(readFileSync(file, 'utf8')).not.toBe(first)
  })

  it("is the user's own where he names a file or sets the variable", async () => {
    expect(await secretFileFor({ ...none, file: '/etc/keys' }, dir)).toBe('/etc/keys')
    const line = generateKeyLine('team', 'team-')
    const file = await secretFileFor({ ...none, text: line }, dir)
    expect(readFileSync(file, 'utf8')).toBe(`${line}\n`)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it("must be given for a relay that is not the job's own", async () => {
    await expect(secretFileFor({ ...none, foreignRelay: true }, dir)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('--secret-file'),
    })
  })
})

describe('tokens of a run', () => {
  it('are good for the address they are for, with the role it has', async () => {
    const file = await secretFileFor(none, dir)
    const signer = await createSigner(file, 'spark-x', 900_000)
    const verifier = new TokenVerifier(await KeyRing.open({ file }))
    expect(await verifier.verify(await signer.driver('127.64.0.1'))).toMatchObject({
      app: 'spark-x',
      addr: '127.64.0.1',
      gen: signer.generation,
      role: 'driver',
    })
    expect(await verifier.verify(await signer.executor('127.64.0.2'))).toMatchObject({ role: 'executor' })
  })

  it('of an executor outlive its function', async () => {
    const file = await secretFileFor(none, dir)
    const signer = await createSigner(file, 'spark-x', 900_000)
    const claims = await new TokenVerifier(await KeyRing.open({ file })).verify(
      await signer.executor('127.64.0.2'),
    )
    expect(claims.exp * 1000).toBeGreaterThan(Date.now() + 900_000)
  })

  it('are refused at once where no key covers the application', async () => {
    const file = join(dir, 'keys')
    writeFileSync(file, `${generateKeyLine('team', 'team-')}\n`, { mode: 0o600 })
    await expect(createSigner(file, 'other', 1_000)).rejects.toMatchObject({ code: 'no-key-fits' })
  })

  it('are for an application that the first key covers, when none was named', async () => {
    for (const [prefix, name] of [
      ['*', 'spark-abc'],
      ['team-', 'team-spark-abc'],
      ['team', 'team-spark-abc'],
    ] as const) {
      const file = join(dir, 'keys')
      writeFileSync(file, `${generateKeyLine('k', prefix)}\n`, { mode: 0o600 })
      expect(await applicationName(file, 'abc')).toBe(name)
    }
  })
})
