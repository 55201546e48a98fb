/**
 * A relay that says what a test wants it to say, byte for byte and at the moment that the test
 * chooses: it takes any HELLO, and hands on what else comes. For real endpoints over real sockets.
 */
import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { encodeWelcome, FrameDecoder, FrameType, PREAMBLE, VERSION_MAX } from '../../relay/wire/index.ts'

export interface ScriptedRelay {
  /** For an endpoint's `relays`. */
  readonly url: string
  /** Settles with the label of the next OPEN that nobody has asked for yet. */
  nextOpen(): Promise<number>
  /** On the newest link. */
  send(frame: Buffer): void
}

/** Ends with the test. */
export async function startScriptedRelay(): Promise<ScriptedRelay> {
  const opens: number[] = []
  const waiting: ((label: number) => void)[] = []
  let link: Socket | undefined
  const server = createServer({ noDelay: true }, (socket) => {
    link = socket
    socket.on('error', () => {}) // an endpoint that is done with us
    const decoder = new FrameDecoder<undefined>()
    decoder.allowAll()
    let isNative = false
    socket.on('data', (bytes: Buffer) => {
      const start = isNative ? 0 : PREAMBLE.length
      isNative = true
      decoder.push(bytes, start, bytes.length, undefined, {
        handleData: () => {},
        handleSignal: () => {},
        handleControl: (type, label) => {
          if (type === FrameType.hello) socket.write(welcome)
          if (type !== FrameType.open) return
          const take = waiting.shift()
          if (take === undefined) opens.push(label)
          else take(label)
        },
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    link?.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `tcp://127.0.0.1:${address.port}`,
    nextOpen: async () => opens.shift() ?? (await new Promise<number>((resolve) => waiting.push(resolve))),
    send: (frame) => void link?.write(frame),
  }
}

const welcome = encodeWelcome({
  version: VERSION_MAX,
  node: 'scripted',
  maxQueuedBytes: 64 * 1024 * 1024,
  maxStreams: 16_384,
  keepaliveMs: 2_000,
  silenceMs: 60_000, // it says no PING
  graceMs: 8_000,
})
