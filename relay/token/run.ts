/** The command `token`: prints one token to stdout, and nothing else. */
import type { CommandContext } from '../../cli/context.ts'
import type { TokenOptions } from '../../cli/options/index.ts'
import { KeyRing } from './key-ring.ts'
import { expiryIn, signToken } from './sign.ts'

/** Answers 0. Throws KeyError when there is no key that fits. */
export async function runToken(options: TokenOptions, _context: CommandContext): Promise<number> {
  const ring = await KeyRing.open({ file: options.secretFile, text: process.env.SLR_SECRET })
  const token = await signToken(ring.signer(options.app, options.key), {
    app: options.app,
    addr: options.address,
    gen: options.generation,
    role: options.role,
    exp: expiryIn(options.expiresMs),
  })
  process.stdout.write(`${token}\n`)
  return 0
}
