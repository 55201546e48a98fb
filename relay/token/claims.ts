/** What a token says. Pure; the schema is the only judge of claims that came from outside. */
import * as z from 'zod'
import { parseVirtualAddress } from '../wire/virtual-address.ts'

/** driver: the agent, which may retire addresses. executor: a shim. tool: exec and the like. */
export const tokenRoles = ['driver', 'executor', 'tool'] as const
export type TokenRole = (typeof tokenRoles)[number]

export const tokenClaims = z.object({
  /** Application. Addresses of one application meet, others never do. */
  app: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  /** Virtual address, within 127.64.0.0/10. */
  addr: z.string().refine((text) => parseVirtualAddress(text) !== undefined),
  /** Generation of the address: a higher one takes it over. */
  gen: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  role: z.enum(tokenRoles),
  /** Seconds since 1970. */
  exp: z.number().int().positive(),
  nbf: z.number().int().nonnegative().optional(),
})
export type TokenClaims = z.infer<typeof tokenClaims>
