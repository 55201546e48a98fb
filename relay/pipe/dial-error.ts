/** Why no pipe came. Used by dial.ts and dial-websocket.ts. */
import { readFileSync } from 'node:fs'

/** Why no pipe came: the code says whose fault, the sentence how to mend it. */
export class DialError extends Error {
  override readonly name = 'DialError'
  /** `url`: not a relay's URL. `file`: the CA file. `network`: not reached. `tls`: certificate or ALPN. `http`: no upgrade. */
  readonly code: 'url' | 'file' | 'network' | 'tls' | 'http'

  constructor(code: DialError['code'], detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
  }
}

/** The CA to trust, read anew at every dial. Throws DialError `file`. */
export function caOf(options: { readonly tlsCaFile?: string }): { ca?: Buffer } {
  if (options.tlsCaFile === undefined) return {}
  try {
    return { ca: readFileSync(options.tlsCaFile) }
  } catch (cause) {
    throw new DialError('file', `--tls-ca ${options.tlsCaFile} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

export function dialErrorOf(name: string, error: NodeJS.ErrnoException, isSecure: boolean): DialError {
  if (error instanceof DialError) return error
  const code = /^Unexpected server response/.test(error.message)
    ? 'http' // ws gives it no code
    : isSecure && isTlsFault(error)
      ? 'tls'
      : 'network'
  const hint = CA_CODES.has(error.code ?? '') ? NAME_THE_CA : ''
  return new DialError(code, `${name}: ${error.message || error.code}${hint}`, { cause: error })
}

/** OpenSSL does not know who signed the certificate. */
const CA_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const NAME_THE_CA = '; name the CA that signed its certificate with --tls-ca'

/** Certificates and handshakes have codes of OpenSSL's; the network's are of the E… kind. */
function isTlsFault(error: NodeJS.ErrnoException): boolean {
  return error.code !== undefined && (error.code.startsWith('ERR_') || !/^E[A-Z]+$/.test(error.code))
}
