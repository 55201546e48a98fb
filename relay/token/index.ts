/** Tokens: who may attach as which address. Used by relay/server, driver-agent and exec. */
export { type TokenClaims, type TokenRole, tokenRoles } from './claims.ts'
export { KeyError, TokenError, type TokenFailure, tokenFailures } from './errors.ts'
export { KeyRing, type KeySource, readKeyFile } from './key-ring.ts'
export { generateKeyLine, generateSecret, keyCovers, parseKeys, type SigningKey } from './keys.ts'
export { expiryIn, signToken } from './sign.ts'
export { clockSkewSeconds, type Expected, maxTokenLength, TokenVerifier } from './verify.ts'
