import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  expiryIn,
  generateKeyLine,
  generateSecret,
  KeyRing,
  parseKeys,
  readKeyFile,
  signToken,
  TokenVerifier,
} from '../../../relay/token/index.ts'

const secret = generateSecret()

describe('parseKeys', () => {
  it('reads a key a line, and skips comments and empty lines', () => {
    const keys = parseKeys(`# keys\n\none:team-a-:${secret}\n  two:*:${generateSecret()}  \r\n`, 'keys')
    expect(keys.map(({ name, prefix }) => [name, prefix])).toEqual([
      ['one', 'team-a-'],
      ['two', '*'],
    ])
  })

  it.each([
    ['two fields', `one:${secret}`, /three fields, not 2/],
    ['four fields', `one:*:${secret}:x`, /three fields, not 4/],
    ['an empty name', `:*:${secret}`, /the name must be/],
    ['a prefix with a star inside', `one:team*:${secret}`, /the prefix must be/],
    ['an empty prefix', `one::${secret}`, /the prefix must be/],
    [
      'a secret of 31 bytes',
      `one:*:${Buffer.alloc(31, 1).toString('base64url')}`,
      /has 31 bytes, must have 32/,
    ],
    ['a secret in hex with blanks', 'one:*:aa bb', /must be base64url/],
    ['plain base64', `one:*:${'+/'.repeat(24)}`, /must be base64url/],
  ])('refuses %s, and names source and line', (_what, line, message) => {
    expect(() => parseKeys(`# first\n${line}`, 'keys.txt')).toThrow(message)
    expect(() => parseKeys(`# first\n${line}`, 'keys.txt')).toThrow(/^keys\.txt, line 2: /)
  })

  it('refuses two keys of one name, and a text without keys', () => {
    expect(() => parseKeys(`a:*:${secret}\na:x:${secret}`, 'k')).toThrow(
      /line 2: the key name a is used twice/,
    )
    expect(() => parseKeys('# nothing\n', 'k')).toThrow(/holds no key/)
  })

  it('never repeats a secret in an error', () => {
    const short = Buffer.alloc(20, 9).toString('base64url')
    expect(() => parseKeys(`one:*:${short}`, 'k')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(short) }),
    )
  })
})

describe('a secret file', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slr-keys-'))
    file = join(folder, 'keys')
    await writeFile(file, generateKeyLine('first', '*'), { mode: 0o600 })
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is refused when group or others may read it, with the remedy', async () => {
    for (const mode of [0o640, 0o604, 0o620, 0o644]) {
      await chmod(file, mode)
      await expect(readKeyFile(file)).rejects.toThrow(
        `--secret-file ${file} has mode 0${mode.toString(8)}, so others can read it; run: chmod 600 ${file}`,
      )
    }
    await chmod(file, 0o400)
    await expect(readKeyFile(file)).resolves.toHaveLength(1)
  })

  it('is named when it is not there', async () => {
    await expect(KeyRing.open({ file: join(folder, 'none') })).rejects.toMatchObject({
      code: 'unreadable',
      exitCode: 2,
      message: expect.stringContaining('none cannot be read (ENOENT)'),
    })
    await expect(KeyRing.open({})).rejects.toMatchObject({
      code: 'no-keys',
      message: expect.stringContaining('--secret-file'),
    })
  })

  it('rotates: a key added is known at once, a key removed is refused within a second', async () => {
    const ring = await KeyRing.open({ file })
    const verifier = new TokenVerifier(ring)
    const claims = { app: 'app', addr: '127.64.0.2', gen: 0, role: 'tool' as const, exp: expiryIn(60_000) }
    const before = await signToken(ring.signer('app'), claims)
    const added = generateKeyLine('second', '*')
    const both = `${added}\n${await import('node:fs').then((fs) => fs.readFileSync(file, 'utf8'))}`
    await writeFile(join(folder, 'next'), both, { mode: 0o600 })
    await rename(join(folder, 'next'), file)
    const [second] = parseKeys(added, 'test')
    if (second === undefined) throw new Error('no key')
    const after = await signToken(second, claims)
    await expect(verifier.verify(after)).resolves.toEqual(claims)
    await expect(verifier.verify(before)).resolves.toEqual(claims)
    expect(ring.signer('app').name).toBe('second')
    await writeFile(file, added, { mode: 0o600 })
    await expect
      .poll(() =>
        verifier.verify(before).then(
          () => 'taken',
          (error) => error.code,
        ),
      )
      .toBe('unknown-key')
    await expect(verifier.verify(after)).resolves.toEqual(claims)
  })

  it('knows an added key for all that come while it is read', async () => {
    const ring = await KeyRing.open({ file })
    const added = generateKeyLine('third', '*')
    await writeFile(join(folder, 'next'), added, { mode: 0o600 })
    await rename(join(folder, 'next'), file)
    const found = await Promise.all(Array.from({ length: 6 }, () => ring.find('third')))
    expect(found.map((one) => one?.name)).toEqual(Array(6).fill('third'))
  })

  it('keeps the keys it had when the file becomes wrong', async () => {
    const ring = await KeyRing.open({ file })
    await writeFile(file, 'nonsense')
    await ring.reload()
    await expect(ring.find('first')).resolves.toMatchObject({ name: 'first' })
  })

  it('gives the first key whose prefix fits, or the one named, or says which prefixes there are', async () => {
    const ring = KeyRing.of(
      parseKeys(
        [
          generateKeyLine('a', 'team-a-'),
          generateKeyLine('a2', 'team-a-'),
          generateKeyLine('b', 'team-b-'),
        ].join('\n'),
        'k',
      ),
    )
    expect(ring.signer('team-a-x').name).toBe('a')
    expect(ring.signer('team-a-x', 'a2').name).toBe('a2')
    expect(() => ring.signer('team-c')).toThrow(
      'none of the keys covers the application team-c; the prefixes are team-a- (a), team-a- (a2), team-b- (b)',
    )
    expect(() => ring.signer('team-b-x', 'a')).toThrow('no key named a covers')
  })
})
