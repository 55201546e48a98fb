/**
 * Preloaded (`node --import ./test/helper/record-calls.ts …`) or imported, writes down every call to
 * the Kubernetes API that this process answers, one JSON object a line, to the file in
 * RECORD_CALLS. It listens to Node's own diagnostics channel, so the facade knows nothing of it.
 * How the files in test/fixture/recordings are made; see the README there.
 */
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'

const file = process.env.RECORD_CALLS
const since = performance.now()

if (file !== undefined) {
  subscribe('http.server.request.start', (message) => {
    const { request } = message as { request: IncomingMessage }
    if (request.url?.startsWith('/api') !== true) return
    const t = Math.round(performance.now() - since)
    const { authorization: _secret, ...headers } = request.headers
    const { method, url } = request
    const write = (body?: unknown): void => {
      const note =
        headers.upgrade === undefined
          ? {}
          : { note: 'refused with 200, then the client retries without Upgrade' }
      const call = { t, method, url, headers, ...(body === undefined ? {} : { body }), ...note }
      appendFileSync(file, `${withoutSecrets(JSON.stringify(call))}\n`)
    }
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      write()
      return
    }
    // Seen by whoever reads the body, without reading it ourselves.
    const iterate = request[Symbol.asyncIterator].bind(request)
    request[Symbol.asyncIterator] = async function* () {
      const chunks: Buffer[] = []
      for await (const chunk of { [Symbol.asyncIterator]: iterate }) {
        chunks.push(chunk)
        yield chunk
      }
      const text = Buffer.concat(chunks).toString('utf8')
      write(text === '' ? undefined : JSON.parse(text))
      return undefined
    }
  })
}

function withoutSecrets(line: string): string {
  return line.replace(
    /("name":"_SPARK_AUTH_SECRET","value":")([^"]*)"/g,
    (_, before: string, secret: string) => {
      return `${before}${'0'.repeat(secret.length)}"`
    },
  )
}
