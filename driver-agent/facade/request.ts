/** A call, read as far as routes need it. Used inside driver-agent/facade/. */
import type { IncomingMessage } from 'node:http'
import { isSameSecret } from '../same-secret.ts'
import { HttpError } from './answer.ts'

/** The API server's own limit is 3 MiB; Spark's pods have about 4 KiB. */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024

/**
 * Pods of Spark nest eight deep. Reading a body takes any depth, but writing it again does not, and what a watch
 * cannot be told of must never be in the table of pods.
 */
const DEEPEST_BODY = 64

export interface Call {
  readonly method: string
  /** Decoded parts of the path, as ['api', 'v1', 'namespaces', 'spark', 'pods']. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly contentType: string
  /** Parsed JSON, at most 64 deep; undefined when there was no body. Throws HttpError. */
  body(): Promise<unknown>
}

/** Throws HttpError 400 for a path that cannot be decoded. */
export function readCall(request: IncomingMessage): Call {
  const [path = '', query = ''] = splitOnce(request.url ?? '/', '?')
  return {
    method: request.method ?? 'GET',
    path: path
      .split('/')
      .filter((part) => part !== '')
      .map(decode),
    query: new URLSearchParams(query),
    contentType: (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
    body: () => readBody(request),
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new HttpError(400, 'BadRequest', 'the path is not well encoded', { cause: error })
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpError(415, 'UnsupportedMediaType', `content-encoding ${encoding} is not supported`, {
      unread: true,
    })
  }
  const text = (await readBytes(request)).toString('utf8')
  if (text === '') return undefined
  const body = parse(text)
  if (isDeeper(body, DEEPEST_BODY)) {
    throw new HttpError(400, 'BadRequest', `the body nests deeper than ${DEEPEST_BODY} objects and lists`)
  }
  return body
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HttpError(400, 'BadRequest', `the body is not JSON (${(error as Error).message})`, {
      cause: error,
    })
  }
}

/** Level by level: a call a level would be what it is to prevent. */
function isDeeper(value: unknown, most: number): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > most) return true
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
  }
  return false
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_LIMIT_BYTES) {
        const message = `the body has more than ${BODY_LIMIT_BYTES} bytes`
        throw new HttpError(413, 'RequestEntityTooLarge', message, { unread: true })
      }
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof HttpError) throw error
    // A driver that is killed in the middle of a call: nobody is left to answer, nothing of ours is wrong.
    throw new HttpError(400, 'BadRequest', 'the body ended too early', { cause: error, unread: true })
  }
  return Buffer.concat(chunks)
}

/** Whether the header carries the token. */
export function carriesToken(header: string | undefined, token: string): boolean {
  return isSameSecret(/^bearer +(.+)$/i.exec(header ?? '')?.[1] ?? '', token)
}
