/** Tells from the first bytes of a connection what it is. Pure. Used by front.ts. */
import { PREAMBLE } from '../wire/header.ts'

/** `more`: too few bytes to say. */
export type FirstBytes = 'native' | 'tls' | 'http' | 'garbage' | 'more'

/** What an HTTP/1.1 request begins with. HTTP/2's preface is not among them: nothing here speaks it. */
const METHODS = ['GET ', 'HEAD ', 'POST ', 'PUT ', 'DELETE ', 'OPTIONS ', 'PATCH '].map((text) =>
  Buffer.from(text),
)
/** TLS handshake record, protocol 3.x. */
const TLS_HANDSHAKE = Buffer.from([0x16, 0x03])

export function tellApart(bytes: Buffer): FirstBytes {
  const kinds: FirstBytes[] = [begins(bytes, PREAMBLE, 'native'), begins(bytes, TLS_HANDSHAKE, 'tls')]
  for (const method of METHODS) kinds.push(begins(bytes, method, 'http'))
  return kinds.find((kind) => kind !== 'garbage') ?? 'garbage'
}

function begins(bytes: Buffer, mark: Buffer, kind: 'native' | 'tls' | 'http'): FirstBytes {
  const length = Math.min(bytes.length, mark.length)
  if (bytes.compare(mark, 0, length, 0, length) !== 0) return 'garbage'
  return length === mark.length ? kind : 'more'
}
