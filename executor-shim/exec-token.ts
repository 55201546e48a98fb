/** Where the token of an `exec` comes from: a file, read again on every attach, or a key of our own. Used by exec.ts. */
import type { Logger } from 'pino'
import type { ExecOptions } from '../cli/options/index.ts'
import type { TokenSource } from '../relay/loopback/index.ts'
import { readPrivateFile } from '../relay/token/private-file.ts'
import { ExecError } from './exec-errors.ts'

/** A token signed here is looked at once, on attaching: this covers skew and a slow start, ms. */
const TOKEN_LIFETIME_MS = 10 * 60_000

type TokenOptions = Pick<ExecOptions, 'app' | 'address' | 'generation' | 'tokenFile' | 'secretFile'>

/** Checks the source at once: a wrong file must not look like a relay that is away. Throws ExecError, KeyError. */
export async function tokenSource(
  options: TokenOptions,
  secretText: string | undefined,
  log: Logger,
): Promise<TokenSource> {
  const { app, address, generation, tokenFile, secretFile } = options
  if (tokenFile !== undefined) {
    if (secretFile !== undefined) {
      throw new ExecError('usage', '--token-file and --secret-file exclude each other: leave one out')
    }
    await readTokenFile(tokenFile)
    return () => readTokenFile(tokenFile)
  }
  if (secretFile === undefined && !secretText) {
    throw new ExecError(
      'usage',
      'exec needs to show who it is: give --token-file, or --secret-file to sign a token',
    )
  }
  // Loaded when it signs: 10 MiB that a command with a token of its own does without.
  const { expiryIn, KeyRing, signToken } = await import('../relay/token/index.ts')
  const ring = await KeyRing.open({ file: secretFile, text: secretText }, log)
  ring.signer(app) // whether a key covers the application is known now
  return () =>
    signToken(ring.signer(app), {
      app,
      addr: address,
      gen: generation,
      role: 'tool',
      exp: expiryIn(TOKEN_LIFETIME_MS),
    })
}

async function readTokenFile(file: string): Promise<string> {
  const text = await readPrivateFile(file, {
    unreadable: (cause) =>
      new ExecError(
        'token',
        `--token-file ${file} cannot be read (${cause.code}); name a file that exists and is yours`,
        { cause },
      ),
    tooOpen: (mode) =>
      new ExecError(
        'token',
        `--token-file ${file} has mode ${mode}, so others can use the token; run: chmod 600 ${file}`,
      ),
  })
  const token = text.trim()
  if (token !== '') return token
  throw new ExecError('token', `--token-file ${file} is empty; write what the command token prints into it`)
}
