/**
 * The key that signs this run's tokens: the user's, or a fresh one for the relay inside.
 * Used by session.ts. Nothing here is ever logged or put into an argument.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyLine } from '../relay/token/index.ts'
import { AgentError } from './errors.ts'

export interface SecretSource {
  /** `--secret-file`. */
  readonly file: string | undefined
  /** SLR_SECRET: the same text. */
  readonly text: string | undefined
  /** Whether a relay of somebody else's must know the key. */
  readonly foreignRelay: boolean
}

/** Path of a file (0600) with the keys to sign with. Writes one into `dir` unless the user has one. */
export async function secretFileFor(source: SecretSource, dir: string): Promise<string> {
  if (source.file !== undefined) return source.file
  const path = join(dir, 'secret')
  if (source.text !== undefined && source.text !== '') {
    await writeFile(path, source.text.endsWith('\n') ? source.text : `${source.text}\n`, { mode: 0o600 })
    return path
  }
  if (source.foreignRelay) {
    throw new AgentError(
      'usage',
      '--relay needs --secret-file (or SLR_SECRET) with a key that the relay knows',
    )
  }
  await writeFile(path, `${generateKeyLine('run', '*')}\n`, { mode: 0o600 })
  return path
}
