/**
 * Keys that sign tokens, and the text they are kept in: a line `name:prefix:secret` each, with
 * the secret in base64url. Pure but for randomness. Secrets live in KeyObjects, which neither
 * a log nor an inspector prints.
 */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { KeyError } from './errors.ts'

/** HS256 is as strong as its hash only with this many bytes (RFC 7518, 3.2). */
export const minSecretBytes = 32

export interface SigningKey {
  /** The token's `kid`. */
  readonly name: string
  /** The key signs for applications whose names begin with this; `*` for all. */
  readonly prefix: string
  readonly secret: KeyObject
}

/** 32 random bytes, base64url: the third field of a line. */
export function generateSecret(): string {
  return randomBytes(minSecretBytes).toString('base64url')
}

/** A line for a secret file, with a fresh secret. `name` and `prefix` must be such as `parseKeys` takes. */
export function generateKeyLine(name: string, prefix: string): string {
  return `${name}:${prefix}:${generateSecret()}`
}

/** Whether `key` may sign for `app`. */
export function keyCovers(key: SigningKey, app: string): boolean {
  return key.prefix === '*' || app.startsWith(key.prefix)
}

const namePattern = /^[A-Za-z0-9._-]{1,64}$/
const prefixPattern = /^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$/
const secretPattern = /^[A-Za-z0-9_-]+={0,2}$/

/**
 * Reads lines; empty ones and those that begin with `#` count for nothing. Two keys of one
 * prefix are a rotation: the first signs, both verify. `source` is the file or variable that
 * errors name; they quote no secret. Throws KeyError `bad-line` or `no-keys`.
 */
export function parseKeys(text: string, source: string): readonly SigningKey[] {
  const keys: SigningKey[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const key = parseLine(line, `${source}, line ${index + 1}`)
    if (keys.some((other) => other.name === key.name)) {
      throw new KeyError(
        'bad-line',
        `${source}, line ${index + 1}: the key name ${key.name} is used twice; rename one`,
      )
    }
    keys.push(key)
  }
  if (keys.length === 0) {
    throw new KeyError(
      'no-keys',
      `${source} holds no key; write a line name:prefix:secret, the secret from "openssl rand 32 | basenc --base64url"`,
    )
  }
  return keys
}

function parseLine(line: string, where: string): SigningKey {
  const fields = line.split(':')
  const [name = '', prefix = '', secretText = ''] = fields
  const fail = (problem: string): never => {
    throw new KeyError('bad-line', `${where}: ${problem}`)
  }
  if (fields.length !== 3) fail(`must be name:prefix:secret, three fields, not ${fields.length}`)
  if (!namePattern.test(name)) fail('the name must be 1 to 64 letters, digits, dots, underscores and hyphens')
  if (!prefixPattern.test(prefix)) {
    fail(
      'the prefix must be * or the beginning of application names (letters, digits, dots, underscores, hyphens)',
    )
  }
  if (!secretPattern.test(secretText)) fail('the secret must be base64url')
  const secret = Buffer.from(secretText, 'base64url')
  if (secret.length < minSecretBytes) {
    fail(
      `the secret has ${secret.length} bytes, must have ${minSecretBytes} or more; make one with "openssl rand 32 | basenc --base64url"`,
    )
  }
  const key = createSecretKey(secret)
  secret.fill(0)
  return { name, prefix, secret: key }
}
