/**
 * Hostile links by the thousand: each says a generated sequence of frames, good, broken and out of
 * turn, in generated pieces, to one relay in memory on which two honest endpoints have a stream.
 * Used by generated-frames.sim.test.ts and scripts/faults.ts.
 */
import { MemoryDirectory } from '../../../relay/directory/memory.ts'
import type { Pipe, PipeEvents } from '../../../relay/pipe/pipe.ts'
import { Slab } from '../../../relay/pipe/slab.ts'
import { defaultRelayLimits } from '../../../relay/server/limits.ts'
import { RelayMetrics } from '../../../relay/server/metrics.ts'
import { RelayNode } from '../../../relay/server/node.ts'
import { encodeControl, encodeHello, encodeSignal, type ResumeEntry } from '../../../relay/wire/control.ts'
import { FrameDecoder } from '../../../relay/wire/decode.ts'
import { RelayError } from '../../../relay/wire/errors.ts'
import { FrameType, HEADER_BYTES, VERSION_MAX, VERSION_MIN, writeHeader } from '../../../relay/wire/header.ts'
import { mulberry } from '../../faults/random.ts'
import { ManualClock } from '../../helper/manual-clock.ts'

class MemoryPipe implements Pipe {
  readonly name = 'memory'
  readonly queuedBytes = 0
  readonly written: Buffer[] = []
  readonly #keeps: boolean
  #events: PipeEvents | undefined
  isOver = false

  constructor(keeps: boolean) {
    this.#keeps = keeps
  }
  start(events: PipeEvents): void {
    this.#events = events
  }
  write(bytes: Uint8Array): void {
    if (this.#keeps) this.written.push(Buffer.from(bytes))
  }
  writeSoon(bytes: Uint8Array): void {
    this.write(bytes)
  }
  cork(): void {}
  uncork(): void {}
  end(): void {
    this.destroy()
  }
  destroy(): void {
    if (this.isOver) return
    this.isOver = true
    queueMicrotask(() => this.#events?.closed(undefined))
  }
  /** The other side says this. */
  say(bytes: Buffer): void {
    if (!this.isOver) this.#events?.data(new Slab(bytes), 0, bytes.length)
  }
}

export interface FramesResult {
  readonly sequences: number
  readonly frames: number
  /** Links that got through their handshake. */
  readonly welcomed: number
  readonly honestBytes: number
  /** How links ended, by reason. */
  readonly closes: Readonly<Record<string, number>>
  /** What is wrong; empty: nothing crashed, hung or grew. */
  readonly faults: readonly string[]
}

const CREDIT = 2 ** 40
/** Between two looks at the honest stream. */
const ROUND = 250

export async function attackWithFrames(sequences: number, seed: number): Promise<FramesResult> {
  const random = mulberry(seed)
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  const upTo = (most: number): number => Math.floor(random() * (most + 1))
  const clock = new ManualClock()
  const metrics = new RelayMetrics()
  const faults: string[] = []
  const node = new RelayNode({
    node: 'target',
    urls: ['tcp://127.0.0.1:1'],
    clock,
    directory: new MemoryDirectory({ clock }),
    // `application address generation role`; anything else is no token.
    verify: async (token) => {
      const [app = '', address = '', generation = '', role] = token.split(' ')
      if (!/^127\./.test(address) || (role !== 'driver' && role !== 'executor'))
        throw new RelayError('unauthorized', 'no token')
      return { app, address, generation: Number(generation), role }
    },
    limits: { ...defaultRelayLimits, controlFramesPerSecond: 1_000_000, maxStreams: 64 },
    metrics,
    log: {
      info: () => {},
      warn: () => {},
      error: (fields, message) => faults.push(`${message}: ${JSON.stringify(fields, errorsToo)}`),
    },
  })
  let incarnations = 0
  const hello = (token: string, mode: 'attach' | 'visit' = 'attach'): Buffer =>
    encodeHello({
      versions: [VERSION_MIN, VERSION_MAX],
      token,
      incarnation: (++incarnations).toString(16).padStart(16, '0'),
      counter: 1,
      class: 'bulk',
      mode,
    })

  const honest = { opener: new MemoryPipe(true), acceptor: new MemoryPipe(true) }
  node.accept(honest.acceptor, 'honest')
  honest.acceptor.say(hello('app 127.64.0.2 1 executor'))
  await turns()
  node.accept(honest.opener, 'honest')
  honest.opener.say(hello('app 127.64.0.3 1 executor'))
  await turns()
  honest.opener.say(encodeControl(FrameType.open, 1, CREDIT, { to: '127.64.0.2', port: 7, id: 1 }))
  await turns()
  const label = labelsIn(honest.acceptor.written, FrameType.open)[0] ?? 0
  honest.acceptor.say(encodeControl(FrameType.opened, label, CREDIT, { incarnation: '0000000000000001' }))
  await turns()
  let honestBytes = 0
  const base = node.tableSizes

  const frame = (): Buffer => {
    const kind = random()
    const known = pick([0, 1, 2, 3, 4, 5, 7, 9, label, 0xffff_fffe, 0xffff_ffff, upTo(2 ** 32 - 1)])
    const offset = pick([0, 1, 1_000, CREDIT, Number.MAX_SAFE_INTEGER, upTo(2 ** 40)])
    if (kind < 0.25) return encodeSignal(pick(Object.values(FrameType)), known, offset)
    if (kind < 0.45) {
      const to = pick(['127.64.0.2', '127.64.0.3', `127.64.1.${upTo(40)}`, '127.64.0.0', '::1', ''])
      const odd = pick([1, 3, 5, 7, 9, 11, 13, known])
      return encodeControl(FrameType.open, odd, offset, { to, port: pick([7, 0, 65_536, -1]), id: upTo(20) })
    }
    if (kind < 0.6) {
      const length = pick([0, 1, 16, 500])
      const bytes = Buffer.alloc(HEADER_BYTES + length, 0x41)
      writeHeader(bytes, 0, FrameType.data, pick([length, length, length + 40, 2 ** 24 - 1]), known, offset)
      return bytes
    }
    if (kind < 0.9) return encodeControl(pick(Object.values(FrameType)), known, offset, payload())
    return Buffer.from(Array.from({ length: 1 + upTo(60) }, () => upTo(255)))
  }
  const address = (): string => pick(['127.64.0.2', '127.64.0.3', `127.64.1.${upTo(40)}`])
  const payload = (): unknown => {
    const entry: ResumeEntry = {
      ...({ label: pick([1, 3, 5, 2, 0]), id: upTo(20), generation: upTo(5), port: 7 } as ResumeEntry),
      ...({ limit: CREDIT, received: 0, finished: false, delivered: upTo(100) } as object),
    }
    return pick<() => unknown>([
      () => ({
        peer: address(),
        incarnation: '0000000000000001',
        entries: Array.from({ length: upTo(4) }, () => entry),
      }),
      () => ({
        incarnation: '0000000000000002',
        entries: [{ label: pick([1, 2, 4]), generation: upTo(4), status: upTo(3), limit: CREDIT }],
      }),
      () => ({
        peers: Array.from({ length: upTo(6) }, () => ({
          address: address(),
          incarnation: '0000000000000001',
        })),
      }),
      () => ({ address: address(), generation: upTo(9) }),
      () => ({ incarnation: '0000000000000001' }),
      () => ({ to: address(), port: 7, id: upTo(9) }),
      () => [],
      () => ({}),
      () => 'x'.repeat(upTo(300)),
      () => null,
      () => ({ a: { b: { c: [upTo(9)] } } }),
    ])()
  }

  let frames = 0
  const alive: MemoryPipe[] = []
  for (let number = 0; number < sequences; number++) {
    const pipe = new MemoryPipe(false)
    node.accept(pipe, 'hostile')
    if (random() < 0.85) {
      // A driver only of another application: retiring the honest is its right in its own.
      const role =
        random() < 0.2 ? 'other 127.64.1.1 1 driver' : `app 127.64.1.${upTo(40)} ${upTo(3)} executor`
      const token = random() < 0.05 ? 'nonsense' : role
      pipe.say(hello(token, random() < 0.6 ? 'visit' : 'attach'))
      await turns()
    }
    const parts = Array.from({ length: upTo(8) }, frame)
    frames += parts.length
    const all = Buffer.concat(parts)
    let at = 0
    while (at < all.length) {
      const size = random() < 0.3 ? all.length : 1 + upTo(40)
      // A copy: the relay may write into what it reads.
      pipe.say(Buffer.from(all.subarray(at, at + size)))
      at += size
    }
    // Most leave at once; some stay and say nothing more.
    if (random() < 0.9) pipe.destroy()
    else alive.push(pipe)
    if (alive.length > 40) alive.shift()?.destroy()
    if (number % ROUND !== 0) continue
    await turns()
    clock.pass(1_000)
    for (const one of [honest.opener, honest.acceptor]) one.say(encodeSignal(FrameType.ping, 0, 0))
    honest.acceptor.written.length = 0
    honest.opener.written.length = 0
    const bytes = Buffer.alloc(HEADER_BYTES + 64, number & 0xff)
    writeHeader(bytes, 0, FrameType.data, 64, 1, honestBytes)
    const expected = Buffer.from(bytes.subarray(HEADER_BYTES))
    honest.opener.say(bytes)
    const got = dataOf(honest.acceptor.written, label, honestBytes)
    if (!got.equals(expected)) {
      faults.push(
        `after ${number} sequences the honest stream got ${got.length} bytes: ${got.subarray(0, 16).toString('hex')}; its links are over: ${honest.opener.isOver}, ${honest.acceptor.isOver}`,
      )
      break
    }
    honestBytes += 64
    const { links, residences, parked } = node.tableSizes
    if (links > 60 || residences > 300 || parked > 60 * 64) {
      faults.push(`after ${number} sequences the tables hold ${JSON.stringify(node.tableSizes)}`)
      break
    }
  }
  for (const pipe of alive) pipe.destroy()
  for (let second = 0; second < 120; second++) {
    for (const one of [honest.opener, honest.acceptor]) one.say(encodeSignal(FrameType.ping, 0, 0))
    await turns()
    clock.pass(1_000)
  }
  const left = node.tableSizes
  if (
    faults.length === 0 &&
    (left.links !== base.links ||
      left.labels !== base.labels ||
      left.residences !== base.residences ||
      left.parked !== 0)
  )
    faults.push(`in the end the tables hold ${JSON.stringify(left)}, before ${JSON.stringify(base)}`)
  if (metrics.parkedOpens !== 0) faults.push(`in the end ${metrics.parkedOpens} opens are counted as parked`)
  const routes = metrics.routes.bulk + metrics.routes.urgent
  if (routes !== 1) faults.push(`in the end ${routes} routes are counted, one is there`)
  node.close()
  return {
    sequences,
    frames,
    welcomed: metrics.handshakes.bulk,
    honestBytes,
    closes: { ...metrics.closes },
    faults,
  }
}

/** Lets promises of a handshake settle: a token's, the directory's. */
async function turns(): Promise<void> {
  for (let i = 0; i < 12; i++) await undefined
}

function errorsToo(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.stack : value
}

function decode(
  written: readonly Buffer[],
  each: (type: number, label: number, offset: number, payload: Buffer) => void,
): void {
  const decoder = new FrameDecoder<undefined>()
  decoder.allowAll()
  const all = Buffer.concat(written)
  decoder.push(all, 0, all.length, undefined, {
    handleData: (label, offset, bytes, start, end) =>
      each(FrameType.data, label, offset, bytes.subarray(start, end)),
    handleSignal: (type, label, offset) => each(type, label, offset, Buffer.alloc(0)),
    handleControl: each,
  })
}

function labelsIn(written: readonly Buffer[], wanted: number): number[] {
  const labels: number[] = []
  decode(written, (type, label) => {
    if (type === wanted) labels.push(label)
  })
  return labels
}

/** The payload of DATA on `label` from `from` on, in what was written since. */
function dataOf(written: readonly Buffer[], wanted: number, from: number): Buffer {
  const parts: Buffer[] = []
  decode(written, (type, label, offset, payload) => {
    if (type === FrameType.data && label === wanted && offset >= from) parts.push(Buffer.from(payload))
  })
  return Buffer.concat(parts)
}
