import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { ShimMessage } from '../../executor-shim/control.ts'
import { TrafficReport } from '../../executor-shim/traffic-report.ts'
import type { Tunnel } from '../../relay/loopback/index.ts'
import { encodeMessage } from '../../relay/loopback/message-codec.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A tunnel whose figures grow each time that they are asked for. */
function startReport(peers: number): { report: TrafficReport; sent: ShimMessage[] } {
  let bytes = 0
  const stats = async () => {
    bytes += 1
    const all = Array.from({ length: peers }, (_, at) => ({
      peer: `127.64.0.${at}`,
      sentBytes: bytes,
      receivedBytes: 0,
      streams: 1,
    }))
    return { peers: all, resumes: 0 }
  }
  const sent: ShimMessage[] = []
  const report = new TrafficReport({ stats } as unknown as Tunnel, 2_000, (message) => sent.push(message))
  return { report, sent }
}

it('comes each 2 s while bytes move, and once more at the end', async () => {
  const { report, sent } = startReport(3)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent).toHaveLength(5)
  await report.close()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent).toHaveLength(6)
})

it('comes less often with a thousand peers, so that a thousand of them do not drown the agent', async () => {
  const { report, sent } = startReport(1_000)
  await vi.advanceTimersByTimeAsync(62_000)
  expect(sent).toHaveLength(4)
  await report.close()
  expect(sent).toHaveLength(5)
})

it('tells of the busiest of thousands of peers, in a message that can be sent', async () => {
  const { report, sent } = startReport(30_000)
  await vi.advanceTimersByTimeAsync(700_000)
  await report.close()
  const [first] = sent as Extract<ShimMessage, { is: 'traffic' }>[]
  expect(first?.peers).toHaveLength(5_000)
  expect(() => encodeMessage(first)).not.toThrow()
})
