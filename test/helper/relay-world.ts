/**
 * A whole relay in this process, on real sockets, with a key that the test signs tokens by; raw
 * links that speak frames by hand, and real endpoints. Everything ends with `stop`.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { RelayOptions } from '../../cli/options/index.ts'
import { relayOptions } from '../../cli/options/relay.ts'
import { readOptions } from '../../cli/read-options.ts'
import { createPipeDialer } from '../../relay/pipe/dial.ts'
import type { Pipe } from '../../relay/pipe/pipe.ts'
import { type RunningRelay, startRelay } from '../../relay/server/run.ts'
import {
  expiryIn,
  generateKeyLine,
  KeyRing,
  parseKeys,
  type SigningKey,
  signToken,
  type TokenClaims,
  TokenVerifier,
} from '../../relay/token/index.ts'
import { encodeHello, type Hello } from '../../relay/wire/control.ts'
import { FrameDecoder } from '../../relay/wire/decode.ts'
import { type CloseReason, closeReasonOf } from '../../relay/wire/errors.ts'
import { FrameType, VERSION_MAX, VERSION_MIN } from '../../relay/wire/header.ts'
import type { TestCertificates } from './certificates.ts'
import { neverAborted } from './pipe-world.ts'

export interface RelayWorld {
  readonly relay: RunningRelay
  readonly key: SigningKey
  /** Of the TCP listener. */
  readonly port: number
  readonly unixUrl: string
  /** What the relay logged until now, a line each. */
  readonly log: readonly LogLine[]
  token(claims?: Partial<TokenClaims>, key?: SigningKey): Promise<string>
  /** Dials by `url` (default: plain TCP) and says HELLO. */
  hello(hello?: Partial<Hello>, url?: string): Promise<RawLink>
  stop(): Promise<void>
}

/** `msg` and the line's own fields. */
export type LogLine = { readonly msg: string } & Readonly<Record<string, unknown>>

export const testApp = 'spark-test'

/** One TCP listener on a free port and one Unix socket, unless `options` says otherwise. */
export async function startRelayWorld(
  options: Partial<RelayOptions> = {},
  certificates?: TestCertificates,
): Promise<RelayWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'slr-relay-'))
  const keys = parseKeys(
    `${generateKeyLine('test', 'spark-')}\n${generateKeyLine('narrow', 'other-')}`,
    'test',
  )
  const key = keys[0] as SigningKey
  const log: LogLine[] = []
  const relay = await startRelay(
    {
      ...readOptions(relayOptions, {}, {}),
      listen: [
        { is: 'tcp', host: '127.0.0.1', port: 0 },
        { is: 'unix', path: join(dir, 'relay.sock') },
      ],
      ...options,
    },
    new TokenVerifier(KeyRing.of(keys)),
    certificates,
    pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line) as LogLine) }),
  )
  const port = Number(/:(\d+)$/.exec(relay.listening[0] as string)?.[1])
  const dialer = createPipeDialer({ tlsCaFile: certificates?.caFile })
  const links: RawLink[] = []
  const world: RelayWorld = {
    relay,
    key,
    port,
    unixUrl: relay.listening[1] as string,
    log,
    token: (claims = {}, by = key) =>
      signToken(by, {
        app: testApp,
        addr: '127.64.0.2',
        gen: 1,
        role: 'executor',
        exp: expiryIn(600_000),
        ...claims,
      }),
    hello: async (hello = {}, url = `tcp://127.0.0.1:${port}`) => {
      const link = new RawLink(await dialer.dial(url, neverAborted))
      links.push(link)
      const token = hello.token ?? (await world.token())
      link.pipe.write(
        encodeHello({
          versions: [VERSION_MIN, VERSION_MAX],
          incarnation: randomBytes(8).toString('hex'),
          counter: 1,
          class: 'urgent',
          mode: 'attach',
          ...hello,
          token,
        }),
      )
      return link
    },
    stop: async () => {
      for (const link of links) link.pipe.destroy()
      await relay.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return world
}

/** A frame that a raw link got. */
export interface RawFrame {
  readonly type: number
  readonly label: number
  readonly offset: number
  readonly payload: Buffer
}

/** A link without an endpoint behind it: writes what a test wants and keeps the frames that come. */
export class RawLink {
  readonly pipe: Pipe
  readonly frames: RawFrame[] = []
  isClosed = false
  readonly #decoder = new FrameDecoder<undefined>()
  readonly #wakes = new Set<() => void>()

  constructor(pipe: Pipe) {
    this.pipe = pipe
    this.#decoder.allowAll()
    const keep = (type: number, label: number, offset: number, payload: Buffer): void => {
      this.frames.push({ type, label, offset, payload: Buffer.from(payload) })
    }
    const handler = {
      handleData: (label: number, offset: number, bytes: Buffer, start: number, end: number) =>
        keep(FrameType.data, label, offset, bytes.subarray(start, end)),
      handleSignal: (type: number, label: number, offset: number) =>
        keep(type, label, offset, Buffer.alloc(0)),
      handleControl: keep,
    }
    pipe.start({
      data: (slab, start, end) => {
        this.#decoder.push(slab.bytes, start, end, undefined, handler)
        this.#wake()
      },
      drained: () => {},
      closed: () => {
        this.isClosed = true
        this.#wake()
      },
    })
  }

  /** The first frame of that type; settles with undefined when the link is closed without one. */
  async frame(type: number): Promise<RawFrame | undefined> {
    await this.until(() => this.isClosed || this.frames.some((frame) => frame.type === type))
    return this.frames.find((frame) => frame.type === type)
  }

  /** Why the relay closed this link; undefined: without a word. Waits for the end. */
  async closeReason(): Promise<CloseReason | undefined> {
    await this.until(() => this.isClosed)
    const close = this.frames.find((frame) => frame.type === FrameType.close)
    return close === undefined ? undefined : closeReasonOf(close.offset)
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return
        this.#wakes.delete(look)
        resolve()
      }
      this.#wakes.add(look)
      look()
    })
  }

  #wake(): void {
    for (const look of [...this.#wakes]) look()
  }
}
