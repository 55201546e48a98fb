/**
 * What stands between a listener and the node: tells accepted connections apart by their first
 * bytes, takes TLS off, and hands on a pipe or an HTTP request. Nothing is allocated for a
 * connection but its socket and an entry in the half-open table until its token was found good.
 */
import type http from 'node:http'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { WebSocket } from 'ws'
import type { Pipe } from '../pipe/pipe.ts'
import { SlabPool } from '../pipe/slab.ts'
import { SocketPipe } from '../pipe/socket-pipe.ts'
import { readAccepted, readByEvents } from '../pipe/socket-reader.ts'
import { WebSocketPipe } from '../pipe/websocket-pipe.ts'
import type { Clock } from '../time/clock.ts'
import type { TrafficClass } from '../wire/control.ts'
import { ALPN, PREAMBLE } from '../wire/header.ts'
import { type HalfOpen, type HalfOpenLimits, HalfOpenTable } from './half-open.ts'
import { createHttpServer, type HttpOptions, MAX_HEADER_BYTES } from './http.ts'
import type { RelayMetrics, SniffFailure } from './metrics.ts'
import { tellApart } from './sniff.ts'

/** What gets the links. RelayNode is one. */
export interface LinkAcceptor {
  /** `pipe`: native preamble or WebSocket upgrade are behind it. `remote`: an IP address, or `unix`. */
  accept(pipe: Pipe, remote: string): void
}

export interface TlsFiles {
  /** PEM. */
  readonly cert: Buffer
  readonly key: Buffer
}

export interface FrontOptions {
  readonly node: LinkAcceptor
  readonly http: Pick<HttpOptions, 'isReady' | 'scrape'>
  readonly metrics: RelayMetrics
  readonly limits: HalfOpenLimits
  readonly clock: Clock
  /** Absent: TLS is refused. */
  readonly tls?: TlsFiles
  /** Read buffers of busy links. Default: 256 KiB each, 64 unused ones kept. */
  readonly pool?: SlabPool
}

/** What the listener knows of where a connection came in. */
export interface Door {
  /** Links and requests must come through TLS. */
  readonly isTlsDemanded: boolean
  /** /metrics may be read here. */
  readonly servesMetrics: boolean
}

/** A connection on its way to being a link or a request. */
interface Arrival {
  readonly door: Door
  readonly remote: string
  readonly port: number | undefined
  readonly halfOpen: HalfOpen
  isSecure: boolean
  /** What to destroy; another one once a handle was taken over or TLS was put on. */
  socket: Duplex
  /** Counted already, or nothing to count. */
  isJudged: boolean
}

/** What may come with a request behind its headers, bytes: an empty body, the first frames of a WebSocket. */
const MAX_BEHIND_REQUEST = 1024

/**
 * The cheapest first: with AES in the processor (`openssl speed -evp`, 16 KiB records, one core) 4.4 GB/s,
 * AES-256 4.1, ChaCha20 3.8. Records are as long as TLS allows, 16 KiB, without being told.
 */
const CIPHERS = `TLS_AES_128_GCM_SHA256:${tls.DEFAULT_CIPHERS}`

export class Front {
  readonly #options: FrontOptions
  readonly #halfOpen: HalfOpenTable
  readonly #pool: SlabPool
  readonly #http: http.Server
  readonly #tls: tls.Server | undefined
  /** Connections in their TLS handshake, by remote address and port. */
  readonly #inTls = new Map<string, Arrival>()
  readonly #inHttp = new WeakMap<Duplex, Arrival>()
  #urgentLinks = 0

  constructor(options: FrontOptions) {
    this.#options = options
    this.#halfOpen = new HalfOpenTable(options.limits, options.clock, options.metrics)
    this.#pool = options.pool ?? new SlabPool(256 * 1024, 64)
    options.metrics.pinnedBytes = () => this.#pool.outstanding * this.#pool.slabBytes
    this.#http = createHttpServer({
      ...options.http,
      metrics: options.metrics,
      maySeeMetrics: (socket) => this.#inHttp.get(socket)?.door.servesMetrics ?? false,
      acceptWebSocket: (webSocket, socket) => this.#acceptWebSocket(webSocket, socket),
    })
    this.#tls = options.tls === undefined ? undefined : this.#createTls(options.tls)
  }

  /** Takes a connection that a server with `pauseOnConnect` and `allowHalfOpen` accepted. */
  handleConnection(socket: net.Socket, door: Door): void {
    const { metrics } = this.#options
    metrics.accepted += 1
    const remote = socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unix'
    const halfOpen = this.#halfOpen.add(remote, (why) => {
      this.#judge(arrival, why)
      arrival.socket.destroy()
    })
    const port = socket.remotePort
    const arrival: Arrival = { door, remote, port, halfOpen, isSecure: false, socket, isJudged: false }
    this.#sniff(socket, arrival)
  }

  /** Closes what is not a link yet. Links are the node's. */
  close(): void {
    this.#halfOpen.clear()
  }

  #sniff(socket: net.Socket, arrival: Arrival): void {
    let gathered: Buffer = Buffer.alloc(0)
    const stop = (): void => {
      socket.off('data', handleData)
      socket.off('end', handleEnd)
      socket.off('close', handleEnd)
      socket.pause()
    }
    const handleData = (chunk: Buffer): void => {
      const before = gathered.length
      gathered = before === 0 ? chunk : Buffer.concat([gathered, chunk])
      const kind = tellApart(gathered)
      if (kind === 'more') return
      if (kind === 'http') {
        const end = gathered.indexOf('\r\n\r\n', Math.max(0, before - 3))
        if (end < 0 && gathered.length <= MAX_HEADER_BYTES) return
        // Nobody asks twice here, and Node would parse all of it before it could be told to stop.
        if (end >= 0 && gathered.length - end > MAX_BEHIND_REQUEST) {
          stop()
          return this.#refuse(arrival, 'http')
        }
      }
      stop()
      if (kind === 'garbage') this.#refuse(arrival, 'garbage')
      else if (kind === 'tls') this.#beginTls(socket, gathered, arrival)
      else if (arrival.door.isTlsDemanded && !arrival.isSecure) this.#refuse(arrival, 'plain')
      else if (kind === 'native') this.#acceptNative(socket, gathered.subarray(PREAMBLE.length), arrival)
      else this.#beginHttp(socket, gathered, arrival)
    }
    const handleEnd = (): void => {
      stop()
      this.#refuse(arrival, 'closed')
    }
    socket.on('error', ignore) // 'close' follows, and is what counts
    socket.on('data', handleData)
    socket.once('end', handleEnd)
    socket.once('close', handleEnd)
    socket.resume()
  }

  #acceptNative(socket: net.Socket, first: Buffer, arrival: Arrival): void {
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol === 'http/1.1') {
      this.#refuse(arrival, 'garbage')
      return
    }
    socket.off('error', ignore)
    const pipe = new SocketPipe({
      name: nameOf(arrival, ''),
      open: ({ onBytes }) => {
        const readerOptions = { pool: this.#pool, onBytes, yieldWhen: this.#yieldWhen }
        return arrival.isSecure ? readByEvents(socket, readerOptions) : readAccepted(socket, readerOptions)
      },
      first,
      onEstablished: this.#establisherOf(arrival),
    })
    this.#handOver(arrival, pipe, pipe.socket)
  }

  #acceptWebSocket(webSocket: WebSocket, socket: Duplex): void {
    const arrival = this.#inHttp.get(socket)
    if (arrival === undefined) throw new Error('an upgrade on a connection that was not handed in')
    const pipe = new WebSocketPipe({
      name: nameOf(arrival, 'ws over '),
      webSocket,
      socket,
      onEstablished: this.#establisherOf(arrival),
    })
    this.#handOver(arrival, pipe, socket)
  }

  #handOver(arrival: Arrival, pipe: Pipe, socket: Duplex): void {
    arrival.socket = socket
    arrival.halfOpen.handOver()
    socket.on('close', arrival.halfOpen.settle)
    this.#options.node.accept(pipe, arrival.remote)
  }

  /**
   * What to do once a link said who it is. Made here, not where the pipe is: a closure keeps all
   * that its siblings need, and that includes the husk of the accepted socket.
   */
  #establisherOf(arrival: Arrival): (trafficClass: TrafficClass) => void {
    return (trafficClass) => {
      const { halfOpen, socket } = arrival
      halfOpen.settle()
      // From here on nothing holds the arrival: a link costs what it needs itself.
      socket.off('close', halfOpen.settle)
      if (trafficClass !== 'urgent') return
      this.#urgentLinks += 1
      socket.on('close', this.#forgetUrgent)
    }
  }

  /** One function for all of them. */
  readonly #forgetUrgent = (): void => {
    this.#urgentLinks -= 1
  }

  /** Bulk gives way in its event loop as long as urgent links share it. */
  readonly #yieldWhen = (): boolean => this.#urgentLinks > 0

  #beginHttp(socket: net.Socket, first: Buffer, arrival: Arrival): void {
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol === ALPN) {
      this.#refuse(arrival, 'garbage')
      return
    }
    this.#inHttp.set(socket, arrival)
    socket.on('close', arrival.halfOpen.settle)
    socket.unshift(first)
    this.#http.emit('connection', socket)
    socket.resume()
  }

  #createTls(files: TlsFiles): tls.Server {
    const server = tls.createServer({
      cert: files.cert,
      key: files.key,
      ALPNProtocols: [ALPN, 'http/1.1'],
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      allowHalfOpen: true,
      pauseOnConnect: true,
    })
    server.on('secureConnection', (secure) => {
      const key = tlsKeyOf(secure)
      const arrival = this.#inTls.get(key)
      this.#inTls.delete(key)
      if (arrival === undefined || arrival.isJudged) {
        secure.destroy()
        return
      }
      arrival.isSecure = true
      arrival.socket = secure
      secure.allowHalfOpen = true
      this.#sniff(secure, arrival)
    })
    server.on('tlsClientError', (_error, secure) => secure.destroy())
    return server
  }

  #beginTls(socket: net.Socket, first: Buffer, arrival: Arrival): void {
    const server = this.#tls
    if (server === undefined || arrival.isSecure || arrival.port === undefined) {
      this.#refuse(arrival, 'no-certificate')
      return
    }
    const key = tlsKeyOf(socket)
    this.#inTls.set(key, arrival)
    socket.once('close', () => {
      if (this.#inTls.get(key) !== arrival) return
      this.#inTls.delete(key)
      this.#refuse(arrival, 'tls')
    })
    // TLS takes it over from the socket: else a client that leaves in the handshake, as one does that does not
    // trust us, would not be noticed until the handshake's time is over.
    socket.allowHalfOpen = false
    socket.unshift(first)
    server.emit('connection', socket)
  }

  #refuse(arrival: Arrival, why: SniffFailure): void {
    this.#judge(arrival, why)
    arrival.halfOpen.settle()
    arrival.socket.destroy()
  }

  #judge(arrival: Arrival, why: SniffFailure): void {
    if (arrival.isJudged) return
    arrival.isJudged = true
    this.#options.metrics.sniffFailures[why] += 1
  }
}

function ignore(): void {}

function tlsKeyOf(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

function nameOf(arrival: Arrival, over: string): string {
  if (arrival.port === undefined) return `${over}unix`
  return `${over}${arrival.isSecure ? 'tls' : 'tcp'} ${arrival.remote}:${arrival.port}`
}
