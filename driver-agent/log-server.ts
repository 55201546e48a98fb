/**
 * Serves executors' log files to whoever follows the links in Spark's UI
 * (`spark.ui.custom.executor.log.url`). Used by session.ts.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { Crowd } from './crowd.ts'
import { isSameSecret } from './same-secret.ts'

/** A page shows at most the end of a log: a browser does not bear gigabytes. */
const SHOWN_BYTES = 16 * 1024 * 1024
/** A browser opens six. Anybody on this machine can connect, and each connection is a descriptor of the agent. */
const MOST_CONNECTIONS = 50

/** The file with the log of an executor of a Spark application, or undefined. */
export type FindLog = (sparkApplication: string, executorId: string) => string | undefined

export interface LogServer {
  /** With Spark's placeholders `{{APP_ID}}` and `{{EXECUTOR_ID}}`. */
  readonly urlPattern: string
  close(): void
}

/**
 * Listens on 127.0.0.1. Any user of the machine reaches that, so the path begins with a
 * random word, which only Spark's UI shows.
 */
export async function startLogServer(findLog: FindLog): Promise<LogServer> {
  const word = randomBytes(16).toString('hex')
  const server = createServer((request, response) => {
    if (isSameSecret(pathOf(request.url)[1] ?? '', word)) crowd.trust(request.socket)
    void answer(request, response, word, findLog)
  })
  const crowd = new Crowd(server, MOST_CONNECTIONS)
  server.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    urlPattern: `http://127.0.0.1:${port}/${word}/{{APP_ID}}/{{EXECUTOR_ID}}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  word: string,
  findLog: FindLog,
): Promise<void> {
  const [, given, application, executor] = pathOf(request.url)
  const isComplete = isSameSecret(given ?? '', word) && application !== undefined && executor !== undefined
  const file = isComplete ? findLog(application, executor) : undefined
  const size = file === undefined ? undefined : (await stat(file).catch(() => undefined))?.size
  if (file === undefined || size === undefined) {
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
    response.end('no such log\n')
    return
  }
  response.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  })
  if (size === 0) return void response.end()
  const start = Math.max(0, size - SHOWN_BYTES)
  // Not pipe(): that leaves the file open when the browser goes away in the middle.
  pipeline(createReadStream(file, { start, end: size - 1 }), response, () => {})
}

/** The parts of a URL's path, decoded; none where it cannot be. */
function pathOf(url: string | undefined): string[] {
  try {
    return (url?.split('?')[0] ?? '').split('/').map(decodeURIComponent)
  } catch {
    return []
  }
}
