/**
 * What an acceptor says right after a RESUME, on a link that was full before. By hand, because the
 * random schedules have too little under way for turns to wait.
 */
import { expect, it } from 'vitest'
import {
  decodeResumed,
  encodeControl,
  encodeResume,
  FrameType,
  resetReasons,
} from '../../relay/wire/index.ts'
import { RawLink } from './raw-link.ts'
import { Talker } from './talker.ts'
import { World } from './world.ts'

const opener = '127.64.0.9'
const CREDIT = 8_000_000
const HIGH_WATER = 512 * 1024
const labels = [1, 3, 5, 7]

it('every stream that one RESUME names goes on from what its opener has, though old turns of theirs wait', async () => {
  // A kernel that takes little: what alice sends waits in her link's queue, and streams wait for their turns.
  const world = new World({ wire: { kernelBytes: 8_192, readBytes: 65_536, latencyMs: 1 } })
  const alice = world.endpoint({ address: '127.64.0.1' })
  const writes = { writes: 4_000_000, pieceBytes: 20_000, pauseMs: 0, readDelayMs: 0 }
  for (const label of labels) {
    world.ports.set(`${alice.address}:${label}`, (host, stream) => {
      const talker = new Talker(`to ${label}`, host.party, writes, label, 0, 0)
      talker.begin(stream.accept(talker))
    })
  }
  const first = new RawLink(world, world.relay, 'first')
  first.hello(opener)
  await world.pass(100)
  for (const label of labels) {
    const open = { to: alice.address, port: label, id: label }
    first.send(encodeControl(FrameType.open, label, CREDIT, open))
  }
  const queued = (): number => alice.connections[0]?.near.queuedBytes ?? 0
  expect(await world.until(() => queued() >= HIGH_WATER, 2_000)).toBe(true)
  first.near.cut()
  const second = new RawLink(world, world.relay, 'second')
  second.hello(opener, { counter: 2 })
  await world.until(() => second.of(FrameType.welcome).length > 0, 1_000)
  expect(await world.until(() => queued() < HIGH_WATER, 2_000)).toBe(true)
  const entries = labels.map((label) => ({
    label,
    id: label,
    generation: 2,
    received: 0,
    limit: CREDIT,
    port: 0,
  }))
  second.send(encodeResume({ peer: alice.address, incarnation: alice.incarnation, entries }))
  await world.pass(3_000)
  expect(decodeResumed(second.of(FrameType.resumed)[0]?.payload as Buffer).entries).toHaveLength(4)
  for (const label of labels) {
    const data = second.frames.filter((frame) => frame.type === FrameType.data && frame.label === label)
    let received = 0
    for (const { offset, payload } of data) {
      expect(offset, `of label ${label}`).toBe(received)
      received += payload.length
    }
    expect(received).toBeGreaterThan(0)
  }
  expect(second.of(FrameType.reset).map(({ offset }) => offset)).not.toContain(resetReasons.violation)
})
