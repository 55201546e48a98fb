/**
 * A proxy between an endpoint and a relay (or a relay and Redis) that does what bad networks do:
 * toxiproxy's faults (latency, bandwidth, reset, limit) and ours (silence, refused dials), for all
 * connections or for those of one virtual address, which it reads from the token in their HELLO.
 * TCP or Unix sockets; it lives in the process that starts it.
 */
import { once } from 'node:events'
import net from 'node:net'

/** `--listen`'s forms: `unix:/path` or `host:port`. */
function addressOf(text: string): net.ListenOptions & net.NetConnectOpts {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) }
  const [host = '', port] = text.split(':')
  return { host, port: Number(port) }
}

export type Direction = 'both' | 'to-target' | 'to-client'

/** What a connection suffers. */
export interface Shape {
  /** Each byte arrives this much later, ms. */
  readonly latencyMs: number
  /** Bytes a second, each direction; undefined: no limit. */
  readonly bytesPerSecond?: number
}

/** Bytes of one direction that wait here at most: as much as a router would hold. */
const MAX_WAITING_BYTES = 256 * 1024

/** One direction of a connection. */
class Lane {
  readonly #from: net.Socket
  readonly #to: net.Socket
  readonly #waiting: { bytes: Buffer; dueMs: number }[] = []
  shape: Shape | undefined
  isSilent = false
  /** The connection is reset after so many more bytes. */
  bytesLeft = Number.POSITIVE_INFINITY
  #waitingBytes = 0
  #freeAtMs = 0
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined

  constructor(from: net.Socket, to: net.Socket, reset: () => void, looked: (bytes: Buffer) => void) {
    this.#from = from
    this.#to = to
    from.on('data', (bytes: Buffer) => {
      looked(bytes)
      if (this.isSilent) return // lost, as packets are that nobody answers
      const passed = bytes.subarray(0, this.bytesLeft)
      this.bytesLeft -= passed.length
      this.#pass(passed)
      if (passed.length < bytes.length) reset()
    })
    from.on('end', () => {
      this.#hasEnded = true
      this.#endIfDone()
    })
    to.on('drain', () => this.#resume())
  }

  #pass(bytes: Buffer): void {
    if (this.shape === undefined && this.#waiting.length === 0) {
      if (!this.#to.write(bytes)) this.#from.pause()
      return
    }
    const now = performance.now()
    const { latencyMs, bytesPerSecond } = this.shape ?? { latencyMs: 0 }
    const tookMs = bytesPerSecond === undefined ? 0 : (bytes.length / bytesPerSecond) * 1000
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + tookMs
    this.#waiting.push({ bytes, dueMs: this.#freeAtMs + latencyMs })
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#from.pause()
    this.#later()
  }

  #later(): void {
    const first = this.#waiting[0]
    if (first === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        const now = performance.now()
        while (this.#waiting[0] !== undefined && this.#waiting[0].dueMs <= now + 1) {
          const { bytes } = this.#waiting.shift() as { bytes: Buffer }
          this.#waitingBytes -= bytes.length
          if (!this.isSilent) this.#to.write(bytes)
        }
        this.#resume()
        this.#endIfDone()
        this.#later()
      },
      Math.max(0, first.dueMs - performance.now()),
    )
  }

  /** A half that is finished is finished at the other side too, behind its last byte. */
  #endIfDone(): void {
    if (this.#hasEnded && this.#waiting.length === 0 && !this.isSilent) this.#to.end()
  }

  #resume(): void {
    if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#from.resume()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }
}

/** One connection through the proxy. */
export class ProxiedLink {
  readonly #client: net.Socket
  readonly #target: net.Socket
  readonly #toTarget: Lane
  readonly #toClient: Lane
  #isOver = false
  /** Virtual address of the token in the first bytes; undefined before they came, or without one. */
  address: string | undefined

  constructor(
    client: net.Socket,
    target: net.Socket,
    identified: (link: ProxiedLink) => void,
    over: (link: ProxiedLink) => void,
  ) {
    this.#client = client
    this.#target = target
    let head = ''
    const look = (bytes: Buffer): void => {
      if (this.address !== undefined || head.length > 4_096) return
      head += bytes.toString('latin1')
      this.address = addressInToken(head)
      if (this.address !== undefined) identified(this)
    }
    const reset = (): void => this.reset()
    this.#toTarget = new Lane(client, target, reset, look)
    this.#toClient = new Lane(target, client, reset, () => {})
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      one.on('error', () => {})
      one.once('close', (hadError) => {
        if (!this.#isSilent && (hadError || !other.writableEnded)) other.destroy()
        if (!other.destroyed) return
        this.#toTarget.stop()
        this.#toClient.stop()
        if (this.#isOver) return
        this.#isOver = true
        over(this)
      })
    }
  }

  get #isSilent(): boolean {
    return this.#toTarget.isSilent || this.#toClient.isSilent
  }

  set shape(shape: Shape | undefined) {
    this.#toTarget.shape = shape
    this.#toClient.shape = shape
  }

  /** From now on nothing of that direction arrives, and no end of either side is seen by the other. */
  silence(direction: Direction): void {
    if (direction !== 'to-client') this.#toTarget.isSilent = true
    if (direction !== 'to-target') this.#toClient.isSilent = true
  }

  /** Resets it after `bytes` more towards the target. */
  cutAfter(bytes: number): void {
    this.#toTarget.bytesLeft = bytes
  }

  reset(): void {
    for (const socket of [this.#client, this.#target]) {
      if (socket.remotePort !== undefined) socket.resetAndDestroy()
      else socket.destroy()
    }
  }

  destroy(): void {
    this.#client.destroy()
    this.#target.destroy()
  }
}

export class FaultProxy {
  /** As given to start: where it is reached. */
  readonly listen: string
  readonly #target: string
  readonly #server: net.Server
  readonly links = new Set<ProxiedLink>()
  /** Of all links without a shape of their own. */
  shape: Shape | undefined
  readonly #shapes = new Map<string, Shape>()
  /** 0 to 100: dials that are refused. */
  refusedPercent = 0
  /** Dials that were refused. */
  refused = 0
  dials = 0
  #random: () => number

  private constructor(listen: string, target: string, random: () => number) {
    this.listen = listen
    this.#target = target
    this.#random = random
    this.#server = net.createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
  }

  /** `listen` and `target`: `unix:/path` or `host:port`. */
  static async start(
    listen: string,
    target: string,
    random: () => number = Math.random,
  ): Promise<FaultProxy> {
    const proxy = new FaultProxy(listen, target, random)
    proxy.#server.listen(addressOf(listen))
    await once(proxy.#server, 'listening')
    return proxy
  }

  #accept(client: net.Socket): void {
    this.dials += 1
    if (this.#random() * 100 < this.refusedPercent) {
      this.refused += 1
      client.on('error', () => {})
      client.destroy()
      return
    }
    const target = net.connect({ ...addressOf(this.#target), allowHalfOpen: true })
    const link = new ProxiedLink(
      client,
      target,
      (identified) => {
        const shape = this.#shapes.get(identified.address ?? '')
        if (shape !== undefined) identified.shape = shape
      },
      (over) => this.links.delete(over),
    )
    link.shape = this.shape
    this.links.add(link)
  }

  linksOf(address: string): ProxiedLink[] {
    return [...this.links].filter((link) => link.address === address)
  }

  /** What links of `address` suffer, those there are and those to come. */
  shapeLinksOf(address: string, shape: Shape | undefined): void {
    if (shape === undefined) this.#shapes.delete(address)
    else this.#shapes.set(address, shape)
    for (const link of this.linksOf(address)) link.shape = shape ?? this.shape
  }

  resetAll(): void {
    for (const link of this.links) link.reset()
  }

  /** All connections end, and all dials are refused until `refusedPercent` is set back. */
  cutOff(): void {
    this.refusedPercent = 100
    this.resetAll()
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const link of this.links) link.destroy()
    await closed
  }
}

/** A JWT's middle part says who it is for; it is not checked here. */
function addressInToken(text: string): string | undefined {
  const payload = /eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]{20,}/.exec(text)?.[1]
  if (payload === undefined) return undefined
  const { addr } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { addr?: string }
  return addr
}
