/**
 * The HTTP side of a relay: /healthz, /readyz, /metrics and the WebSocket upgrade at /link. It
 * listens on nothing itself: front.ts hands it connections, and --metrics has a listener apart.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { LINK_PATH, MAX_PAYLOAD_BYTES } from '../pipe/websocket-pipe.ts'
import type { RelayMetrics } from './metrics.ts'

/** Longest request line and headers together, bytes. */
export const MAX_HEADER_BYTES = 8 * 1024
/** Parts of one message of a WebSocket, and reads that bring parts of one frame. */
const MAX_FRAGMENTS = 64
const MAX_BUFFERED_CHUNKS = 4_096
/** Of the listener of --metrics. */
const HEADERS_MS = 5_000

export interface HttpOptions {
  readonly metrics: RelayMetrics
  /** False while no new link could be served: directory unreachable, draining, not started. */
  readonly isReady: () => boolean
  /** Text and content type of /metrics. */
  readonly scrape: () => Promise<{ readonly text: string; readonly contentType: string }>
  /** May the one behind this connection read /metrics? */
  readonly maySeeMetrics: (socket: Duplex) => boolean
  /** A WebSocket was opened over a connection that was handed in. Absent: upgrades are refused. */
  readonly acceptWebSocket?: (webSocket: WebSocket, socket: Duplex) => void
}

/** A server that does not listen: `server.emit('connection', socket)`. */
export function createHttpServer(options: HttpOptions): http.Server {
  const { metrics } = options
  const server = http.createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    // Connections are not kept: who asks for health asks seldom, and so one deadline, that of
    // the unauthenticated connection, bounds the whole of it.
    keepAlive: false,
    // Node would answer these by itself and go on with the next request behind our back.
    requireHostHeader: false,
    // Connections that are handed in have deadlines of their own.
    ...(options.acceptWebSocket === undefined
      ? {
          headersTimeout: HEADERS_MS,
          requestTimeout: HEADERS_MS,
          connectionsCheckingInterval: HEADERS_MS / 5,
        }
      : {}),
  })
  // Whatever is told to the client, Node goes on with what it has sent behind its first request: one connection
  // with thousands of them in 90 KB stopped the relay for seconds. front.ts keeps the most of them out.
  const asked = new WeakSet<Duplex>()
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (asked.has(request.socket)) {
      metrics.httpRequests.refused += 1
      request.socket.destroy()
      return
    }
    asked.add(request.socket)
    response.shouldKeepAlive = false
    answer(options, request, response).catch(() => response.destroy())
  }
  // Without a listener of ours Node answers an Expect of any kind, as often as it comes.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, handle)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code !== 'ECONNRESET') metrics.sniffFailures.http += 1
    const status =
      error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    else socket.destroy()
  })
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    clientTracking: false,
    skipUTF8Validation: true,
    // Each may pin a whole read of 64 KiB, before anybody has said who he is. Ours send none.
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
  })
  webSockets.on('wsClientError', (_error, socket) => {
    metrics.sniffFailures.http += 1
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const accept = options.acceptWebSocket
    if (asked.has(socket)) {
      metrics.httpRequests.refused += 1
      socket.destroy()
      return
    }
    if (accept === undefined || pathOf(request) !== LINK_PATH) {
      metrics.httpRequests.refused += 1
      // Node took its own listener off: a reset would end the process, and with it every link.
      socket.on('error', () => {}).once('finish', () => socket.destroy())
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      metrics.httpRequests.ok += 1
      accept(webSocket, socket)
    })
  })
  return server
}

async function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const reply = await replyTo(options, request)
  if (reply.status < 400) options.metrics.httpRequests.ok += 1
  else options.metrics.httpRequests.refused += 1
  response.writeHead(reply.status, {
    'content-type': reply.contentType ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(reply.text),
    'cache-control': 'no-store',
  })
  response.end(request.method === 'HEAD' ? undefined : reply.text)
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly contentType?: string
}

async function replyTo(options: HttpOptions, request: IncomingMessage): Promise<Reply> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { status: 405, text: 'only GET and HEAD\n' }
  switch (pathOf(request)) {
    case '/healthz':
      return { status: 200, text: 'ok\n' }
    case '/readyz':
      return options.isReady() ? { status: 200, text: 'ready\n' } : { status: 503, text: 'not ready\n' }
    case '/metrics':
      if (!options.maySeeMetrics(request.socket))
        return { status: 403, text: 'metrics are served on --metrics\n' }
      return { status: 200, ...(await options.scrape()) }
    case LINK_PATH:
      return { status: 426, text: 'a link is a WebSocket\n' }
    default:
      return { status: 404, text: `there are /healthz, /readyz, /metrics and ${LINK_PATH}\n` }
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] as string
}
