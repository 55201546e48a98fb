/**
 * Dials a relay by URL and answers a pipe: `tcp://h:p`, `tls://h:p`, `unix:/path` (native),
 * `ws://h:p/link`, `wss://h:p/link`. What relay/endpoint is given as its PipeDialer.
 */
import net from 'node:net'
import type tls from 'node:tls'
import { ALPN, PREAMBLE } from '../wire/header.ts'
import { caOf, DialError, dialErrorOf } from './dial-error.ts'
import type { Pausable, Pipe } from './pipe.ts'
import { SlabPool } from './slab.ts'
import { SocketPipe } from './socket-pipe.ts'
import { type OnRead, readDialled } from './socket-reader.ts'
import { LINK_PATH } from './websocket-pipe.ts'

export interface PipeDialerOptions {
  /** PEM file of the private CA that signed the relay's certificate; absent: Node's own roots. Read at every dial. */
  readonly tlsCaFile?: string
  /**
   * Relays that are not to be dialled where their URL leads, and where they are reached instead: URL to URL.
   * Relays name each other by URL, and a function without a network has another way to each.
   */
  readonly detours?: Readonly<Record<string, string>>
  /** Read buffers of busy links. Default: 256 KiB each, 8 unused ones kept. */
  readonly pool?: SlabPool
}

export { DialError } from './dial-error.ts'

/** A PipeDialer of relay/endpoint. */
export interface SocketDialer {
  /** See PipeDialer. */
  dial(url: string, signal: AbortSignal): Promise<Pipe & Pausable>
}

/** Where a URL leads. */
export type RelayUrl = NativeUrl | WebUrl
type NativeUrl =
  | { readonly is: 'unix'; readonly path: string }
  | { readonly is: 'tcp' | 'tls'; readonly host: string; readonly port: number }
export type WebUrl = { readonly is: 'ws' | 'wss'; readonly url: string }

/** Throws DialError `url` for what no relay can have. */
export function parseRelayUrl(text: string): RelayUrl {
  const unix = /^unix:(?:\/\/)?(\/.+)$/.exec(text)
  if (unix !== null) return { is: 'unix', path: unix[1] as string }
  const scheme = /^(tcp|tls|ws|wss):\/\//.exec(text)?.[1] as 'tcp' | 'tls' | 'ws' | 'wss' | undefined
  // URL knows the default ports and the rules only of schemes of the web.
  const url = scheme === undefined ? null : URL.parse(text.replace(/^[a-z]+:/, 'http:'))
  if (scheme === undefined || url === null || url.username !== '' || url.hostname === '') {
    throw new DialError(
      'url',
      `${text} is no relay's URL: tcp://, tls://, ws://, wss://host:port or unix:/path`,
    )
  }
  if (scheme === 'ws' || scheme === 'wss') {
    const path = url.pathname === '/' ? LINK_PATH : url.pathname
    return { is: scheme, url: `${scheme}://${authorityOf(text)}${path}${url.search}` }
  }
  const port = /:(\d+)\/?$/.exec(text)?.[1]
  if (port === undefined) throw new DialError('url', `${text} lacks a port: ${scheme}://host:port`)
  return { is: scheme, host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function authorityOf(text: string): string {
  return (/^[a-z]+:\/\/([^/?#]+)/.exec(text) as RegExpExecArray)[1] as string
}

/** One text for all ways to write a URL. */
function sameForAll(url: RelayUrl): string {
  if ('url' in url) return url.url
  return url.is === 'unix' ? url.path : `${url.is} ${url.host} ${url.port}`
}

export function createPipeDialer(options: PipeDialerOptions = {}): SocketDialer {
  const pool = options.pool ?? new SlabPool(256 * 1024, 8)
  const detours = new Map(
    Object.entries(options.detours ?? {}).map(([from, to]) => [sameForAll(parseRelayUrl(from)), to]),
  )
  return {
    async dial(text, signal) {
      const named = parseRelayUrl(text)
      const detour = detours.get(sameForAll(named))
      const url = detour === undefined ? named : parseRelayUrl(detour)
      signal.throwIfAborted()
      if ('url' in url) {
        // Loaded when it is asked for: with Node's HTTP it is 11 MiB of every function's memory.
        const { dialWebSocket } = await import('./dial-websocket.ts')
        return dialWebSocket(url, options, signal)
      }
      // TLS is 3 MiB: loaded when it is asked for, too.
      const tlsModule = url.is === 'tls' ? await import('node:tls') : undefined
      return dialNative(url, tlsModule, pool, options, signal)
    },
  }
}

function dialNative(
  url: NativeUrl,
  tlsModule: typeof tls | undefined,
  pool: SlabPool,
  options: PipeDialerOptions,
  signal: AbortSignal,
): Promise<SocketPipe> {
  const name = url.is === 'unix' ? `unix ${url.path}` : `${url.is} ${url.host}:${url.port}`
  const ca = url.is === 'tls' ? caOf(options) : {}
  const pipe = new SocketPipe({
    name,
    open: ({ onBytes }) => readDialled((onread) => connect(url, tlsModule, ca, onread), { pool, onBytes }),
  })
  const socket = pipe.socket
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      signal.removeEventListener('abort', handleAbort)
      socket.off(event, handleConnect)
      socket.off('error', settle)
      socket.off('close', handleClose)
      if (error === undefined) resolve(pipe)
      else {
        socket.destroy()
        reject(error === signal.reason ? error : dialErrorOf(name, error, url.is === 'tls'))
      }
    }
    const handleConnect = (): void => {
      if (url.is === 'tls' && (socket as tls.TLSSocket).alpnProtocol !== ALPN) {
        settle(new DialError('tls', `${name} speaks TLS but no ${ALPN}: is it a relay?`))
        return
      }
      socket.write(PREAMBLE)
      settle()
    }
    const handleAbort = (): void => settle(signal.reason)
    const handleClose = (): void => settle(new Error('closed before it was connected'))
    const event = url.is === 'tls' ? 'secureConnect' : 'connect'
    signal.addEventListener('abort', handleAbort, { once: true })
    socket.once(event, handleConnect)
    socket.once('error', settle)
    socket.once('close', handleClose)
  })
}

function connect(
  url: NativeUrl,
  tlsModule: typeof tls | undefined,
  ca: { ca?: Buffer },
  onread: OnRead,
): net.Socket {
  if (url.is === 'unix') return net.connect({ path: url.path, onread } as net.NetConnectOpts)
  if (url.is === 'tcp') return net.connect({ host: url.host, port: url.port, onread } as net.NetConnectOpts)
  if (tlsModule === undefined) throw new Error('TLS was not loaded')
  return tlsModule.connect({
    host: url.host,
    port: url.port,
    // A name for SNI; an address may not be one, and is checked against the certificate all the same.
    ...(net.isIP(url.host) === 0 ? { servername: url.host } : {}),
    ALPNProtocols: [ALPN],
    minVersion: 'TLSv1.2',
    ...ca,
    onread,
  } as tls.ConnectionOptions)
}
