/**
 * A facade over a PodsWorld, and a plain HTTP client for it (no fetch: tests set headers that
 * fetch forbids, and read responses that do not end). Used by tests of driver-agent/facade.
 */
import { type IncomingMessage, request } from 'node:http'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { type Facade, startFacade } from '../../driver-agent/facade/index.ts'
import type { PodsOptions, WatchEvent } from '../../driver-agent/pods/index.ts'
import { createPodsWorld, type PodsWorld } from './pods.ts'

export const TOKEN = 'a-token-that-only-the-test-knows'

export interface CallOptions {
  readonly method?: string
  readonly headers?: Record<string, string | undefined>
  readonly body?: unknown
  /** Undefined: the right one. Empty: no header. */
  readonly token?: string
}

export interface Answered {
  readonly http: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** Parsed JSON. */
  readonly body: Record<string, unknown>
}

export interface OpenWatch {
  readonly headers: IncomingMessage['headers']
  readonly events: WatchEvent[]
  /** Settles when so many events have come. */
  count(events: number): Promise<WatchEvent[]>
  /** Settles when the response is over, ended or cut. */
  readonly ended: Promise<void>
  /** Breaks the connection, as a network does. */
  cut(): void
}

export interface FacadeWorld extends PodsWorld {
  readonly facade: Facade
  /** `path` from the namespace's collections on, as `pods/x`; with a leading slash from the root. */
  call(path: string, options?: CallOptions): Promise<Answered>
  watch(query?: string): Promise<OpenWatch>
}

/** Stops itself after the test. */
export async function startFacadeWorld(
  options: Partial<Omit<PodsOptions, 'clock' | 'logger' | 'output'>> = {},
): Promise<FacadeWorld> {
  const world = createPodsWorld(options)
  const { pods, clock } = world
  const facade = await startFacade({ pods, token: TOKEN, logger: pino({ level: 'silent' }), clock })
  onTestFinished(() => facade.close())
  const full = (path: string): string =>
    path.startsWith('/') ? path : `/api/v1/namespaces/${pods.namespace}/${path}`
  return {
    ...world,
    facade,
    call: async (path, callOptions) => readAll(await send(facade.port, full(path), callOptions)),
    watch: async (query = '') =>
      openWatch(await send(facade.port, `${full('pods')}?watch=true${query === '' ? '' : `&${query}`}`)),
  }
}

export function send(port: number, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
  const { method = 'GET', body, token = TOKEN } = options
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` }
  if (text !== undefined) {
    headers['content-type'] = 'application/json'
    // Node's client does not frame the body of a DELETE by itself.
    headers['content-length'] = String(Buffer.byteLength(text))
  }
  for (const [name, value] of Object.entries(options.headers ?? {}))
    if (value !== undefined) headers[name] = value
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, resolve)
    sent.on('error', reject)
    // A client that asked for a WebSocket and is answered without one.
    sent.on('upgrade', (_, socket) => {
      socket.destroy()
      reject(new Error('the facade accepted an upgrade'))
    })
    sent.end(text)
  })
}

export async function readAll(response: IncomingMessage): Promise<Answered> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return { http: response.statusCode ?? 0, headers: response.headers, text, body }
}

function openWatch(response: IncomingMessage): OpenWatch {
  const events: WatchEvent[] = []
  const waiting: { count: number; resolve: (events: WatchEvent[]) => void }[] = []
  let rest = ''
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) events.push(JSON.parse(line) as WatchEvent)
    for (const { count, resolve } of waiting) if (events.length >= count) resolve(events)
  })
  response.on('error', () => {})
  return {
    headers: response.headers,
    events,
    count: (count) =>
      new Promise((resolve) => {
        if (events.length >= count) resolve(events)
        else waiting.push({ count, resolve })
      }),
    ended: new Promise((resolve) => response.once('close', () => resolve())),
    cut: () => response.destroy(),
  }
}
