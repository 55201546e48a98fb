/** Options of `token`. The type is what relay/token/run.ts gets. */
import { choice, duration, required, text } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'
import { application, generation, secretFile, virtualAddress } from './shared.ts'

export const tokenOptions = {
  app: required(application),
  address: required({ ...virtualAddress, says: 'the virtual address that the token is for' }),
  role: choice('--role', {
    value: 'role',
    says: 'what its holder is: a Spark driver, an executor, or anything else',
    of: ['driver', 'executor', 'tool'],
    default: 'tool',
  }),
  generation,
  expiresMs: duration('--expires', {
    says: 'how long it can be used to attach; links that are up stay up',
    min: 1_000,
    max: 366 * 24 * 3_600_000,
    default: 3_600_000,
  }),
  secretFile,
  key: text('--key', {
    says: 'name of the key that signs (default: the first one whose prefix fits the application)',
    value: 'name',
    allowed: '1 to 64 letters, digits, dots, underscores and hyphens',
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
  }),
} satisfies OptionTable

export type TokenOptions = OptionsOf<typeof tokenOptions>
