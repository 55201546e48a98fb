/** Real endpoints, a real relay and real sockets between them: every transport carries streams. */
import { createHash, randomBytes, randomFillSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  Endpoint,
  type IncomingStream,
  type LocalSide,
  type StreamHandle,
} from '../../../relay/endpoint/index.ts'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { Slab } from '../../../relay/pipe/slab.ts'
import { systemClock } from '../../../relay/time/clock.ts'
import type { TrafficClass } from '../../../relay/wire/control.ts'
import { HEADER_BYTES } from '../../../relay/wire/header.ts'
import { makeCertificates, type TestCertificates } from '../../helper/certificates.ts'
import { type RelayWorld, startRelayWorld } from '../../helper/relay-world.ts'

let certificates: TestCertificates
beforeAll(() => {
  certificates = makeCertificates()
})
afterAll(() => certificates.remove())

const MiB = 1024 * 1024

/** Sends `bytes` in 64 KiB slabs as the stream has room, then its FIN; hashes what comes. */
class Program implements LocalSide {
  readonly hash = createHash('sha256')
  received = 0
  state: 'open' | 'closed' | 'reset' = 'open'
  handle: StreamHandle | undefined
  readonly #bytes: Buffer
  #at = 0
  readonly over: Promise<void>
  #finish: () => void = () => {}

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.over = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  opened(): void {
    this.writable()
  }
  deliver(bytes: Buffer, start: number, end: number): void {
    this.hash.update(bytes.subarray(start, end))
    this.received += end - start
    // Not from within: credit follows what was really taken.
    queueMicrotask(() => this.handle?.delivered(end - start))
  }
  ended(): void {}
  writable(): void {
    while (this.#at < this.#bytes.length) {
      const part = this.#bytes.subarray(this.#at, this.#at + 64 * 1024)
      const slab = new Slab(Buffer.alloc(HEADER_BYTES + part.length))
      part.copy(slab.bytes, HEADER_BYTES)
      this.#at += part.length
      if (this.handle?.send(slab, HEADER_BYTES, HEADER_BYTES + part.length) === false) return
    }
    this.handle?.end()
  }
  reset(): void {
    this.state = 'reset'
    this.#finish()
  }
  closed(): void {
    this.state = 'closed'
    this.#finish()
  }
}

async function attach(
  world: RelayWorld,
  url: string,
  address: string,
  trafficClass: TrafficClass,
  incoming: (stream: IncomingStream) => void = (stream) => stream.reject('refused'),
): Promise<Endpoint> {
  let settle: (error?: Error) => void = () => {}
  const attached = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error))
  })
  const endpoint = new Endpoint({
    class: trafficClass,
    address,
    token: () => world.token({ addr: address }),
    incarnation: randomBytes(8).toString('hex'),
    relays: [url],
    dialer: createPipeDialer({ tlsCaFile: certificates.caFile }),
    clock: systemClock,
    random: Math.random,
    events: { incoming, attached: () => settle(), detached: () => {}, failed: settle },
  })
  endpoint.start()
  onTestFinished(() => endpoint.close())
  await attached
  return endpoint
}

const transports = ['tcp', 'tls', 'ws', 'wss', 'unix'] as const
describe.each(transports)('links over %s', (transport) => {
  it.each(['urgent', 'bulk'] as const)(
    'carry %s streams both ways at once, byte for byte',
    async (trafficClass) => {
      const world = await startRelayWorld({}, certificates)
      onTestFinished(() => world.stop())
      const url = transport === 'unix' ? world.unixUrl : `${transport}://127.0.0.1:${world.port}`
      const there = randomFillSync(Buffer.alloc(6 * MiB))
      const back = randomFillSync(Buffer.alloc(5 * MiB))
      const served: Program[] = []
      await attach(world, url, '127.64.0.2', trafficClass, (stream) => {
        const program = new Program(back)
        served.push(program)
        program.handle = stream.accept(program)
        program.writable()
      })
      const opener = await attach(world, url, '127.64.0.3', trafficClass)
      const dialled = Array.from({ length: 4 }, () => {
        const program = new Program(there)
        program.handle = opener.open('127.64.0.2', 7078, program)
        return program
      })
      await Promise.all(dialled.map(({ over }) => over))
      await Promise.all(served.map(({ over }) => over))
      const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
      expect(dialled.map(({ state }) => state)).toEqual(Array(4).fill('closed'))
      expect(dialled.map(({ hash }) => hash.digest('hex'))).toEqual(Array(4).fill(sha(back)))
      expect(served.map(({ hash }) => hash.digest('hex'))).toEqual(Array(4).fill(sha(there)))
      const { metrics } = world.relay
      expect(metrics.forwardedBytes[trafficClass]).toBe(4 * (there.length + back.length))
      expect(metrics.opens[trafficClass]).toBe(4)
      expect(metrics.routes[trafficClass]).toBe(0)
      const scraped = await (await fetch(`http://127.0.0.1:${world.port}/metrics`)).text()
      expect(scraped).toContain(`slr_relay_forwarded_bytes_total{class="${trafficClass}"} ${44 * MiB}`)
    },
  )
})
