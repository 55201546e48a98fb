/**
 * A link that speaks frames by hand: for what no endpoint of ours would say. Used by tests of
 * hostile peers.
 */
import type { Slab } from '../../relay/pipe/slab.ts'
import {
  encodeHello,
  encodeSignal,
  encodeText,
  FrameDecoder,
  type FrameHandler,
  FrameType,
  HEADER_BYTES,
  type Hello,
  writeHeader,
} from '../../relay/wire/index.ts'
import { Party } from './party.ts'
import { pipePair, type SimPipe } from './sim-pipe.ts'
import { APP, type SimRelay, type World } from './world.ts'

export interface RawFrame {
  readonly type: number
  readonly label: number
  readonly offset: number
  readonly payload: Buffer
}

export class RawLink implements FrameHandler<Slab> {
  readonly party: Party
  readonly near: SimPipe
  readonly frames: RawFrame[] = []
  isOver = false
  /** Reason of the CLOSE that came; 0: none. */
  closeReason = 0
  readonly #decoder = new FrameDecoder<Slab>()

  constructor(world: World, relay: SimRelay, name: string) {
    this.party = new Party(name, world.clock)
    const [near, far] = pipePair(name, this.party, relay.party, world.wire, world.dice)
    this.near = near
    this.#decoder.allowAll()
    near.start({
      data: (slab, start, end) => this.#decoder.push(slab.bytes, start, end, slab, this),
      drained: () => {},
      closed: () => {
        this.isOver = true
      },
    })
    relay.node.accept(far, name)
  }

  hello(address: string, more: Partial<Hello> & { role?: string; generation?: number } = {}): void {
    const { role = 'executor', generation = 1, ...rest } = more
    const hello: Hello = {
      versions: [1, 1],
      token: JSON.stringify({ app: APP, address, generation, role }),
      incarnation: 'bad0bad0bad0bad0',
      counter: 1,
      class: 'bulk',
      mode: 'attach',
      ...rest,
    }
    this.send(encodeHello(hello))
  }

  send(bytes: Buffer): void {
    this.near.write(bytes)
  }
  signal(type: number, label: number, offset: number): void {
    this.send(encodeSignal(type, label, offset))
  }
  text(type: number, offset: number, text: string): void {
    this.send(encodeText(type, offset, text))
  }
  data(label: number, offset: number, payload: Buffer): void {
    const frame = Buffer.alloc(HEADER_BYTES + payload.length)
    writeHeader(frame, 0, FrameType.data, payload.length, label, offset)
    payload.copy(frame, HEADER_BYTES)
    this.send(frame)
  }

  /** Frames of a type that have come. */
  of(type: number): RawFrame[] {
    return this.frames.filter((frame) => frame.type === type)
  }

  handleData(label: number, offset: number, bytes: Buffer, start: number, end: number): void {
    this.frames.push({
      type: FrameType.data,
      label,
      offset,
      payload: Buffer.from(bytes.subarray(start, end)),
    })
  }
  handleSignal(type: number, label: number, offset: number): void {
    this.frames.push({ type, label, offset, payload: Buffer.alloc(0) })
  }
  handleControl(type: number, label: number, offset: number, payload: Buffer): void {
    if (type === FrameType.close) this.closeReason = offset
    this.frames.push({ type, label, offset, payload: Buffer.from(payload) })
  }
}
