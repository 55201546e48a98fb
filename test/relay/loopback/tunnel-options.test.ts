/** A tunnel that cannot work is refused before anything is opened; a thread that dies is told. */
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { BulkThread } from '../../../relay/loopback/bulk-thread.ts'
import { startTunnel, type TunnelOptions } from '../../../relay/loopback/index.ts'
import type { LaneFigures, LaneOptions } from '../../../relay/loopback/lane.ts'
import { sumFigures } from '../../../relay/loopback/stats.ts'
import { quietLog } from './world.ts'

const good: TunnelOptions = {
  app: 'test',
  address: '127.64.0.2',
  token: () => '',
  relays: ['unix:/no/such/relay'],
  dials: [],
  serves: [],
  logger: pino({ level: 'silent' }),
}

describe('the options of a tunnel', () => {
  it.each<[string, Partial<TunnelOptions>, RegExp]>([
    [
      'an address that is not virtual',
      { address: '127.0.0.1' },
      /127\.0\.0\.1 is no virtual address.*127\.64\.0\.0\/10/,
    ],
    ['no relay', { relays: [] }, /at least one URL/],
    [
      'a port out of range',
      { dials: [{ port: 70_000, class: 'bulk' }] },
      /70000 is no port: must be 1 to 65535/,
    ],
    ['the control port', { serves: [{ port: 1 }] }, /port 1 is reserved/],
    [
      'a port of both classes',
      {
        dials: [
          { port: 7079, class: 'bulk' },
          { port: 7079, class: 'urgent' },
        ],
      },
      /7079 is dialled as urgent and as bulk/,
    ],
    ['a limit that there is not', { endpoint: { windowBytes: 1 } }, /windowBytes is no limit/],
    ['a limit out of its bounds', { endpoint: { floorBytes: 1 } }, /floorBytes is 1: must be \d+ to \d+/],
  ])('are refused when they hold %s', async (_what, wrong, message) => {
    await expect(startTunnel({ ...good, ...wrong })).rejects.toMatchObject({
      code: 'usage',
      exitCode: 2,
      message: expect.stringMatching(message),
    })
  })
})

describe('the bulk thread', () => {
  const lane: LaneOptions = {
    class: 'bulk',
    address: '127.64.0.2',
    incarnation: '0123456789abcdef',
    relays: ['unix:/no/such/relay'],
    ports: [],
    serves: [],
    listen: 'wildcard',
    checkUid: false,
    maxPeerListeners: 1,
    limits: {},
    tellsStreams: false,
  }

  it('is told of as a failure when it dies, and closes all the same', async () => {
    const failed = Promise.withResolvers<unknown>()
    const events = {
      attached: () => {},
      detached: () => {},
      failed: failed.resolve,
      streamOpened: () => {},
      control: undefined,
    }
    const wrong = { ...lane, limits: { floorBytes: 1 } } // its endpoint throws
    const thread = new BulkThread(wrong, () => '', events, quietLog)
    await expect(thread.start()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/bulk thread died: floorBytes/),
    })
    expect(await failed.promise).toMatchObject({ code: 'internal' })
    await thread.close()
    expect((await thread.figures()).openStreams).toBe(0)
  })
})

describe('the figures of both lanes', () => {
  it('are added up, by peer and by reason', () => {
    const lanes: LaneFigures[] = [
      {
        peers: [{ peer: '127.64.0.3', sentBytes: 1, receivedBytes: 2, streams: 1 }],
        openStreams: 1,
        resumes: 2,
        resets: { gone: 1 },
        foreignConnections: 0,
      },
      {
        peers: [
          { peer: '127.64.0.3', sentBytes: 10, receivedBytes: 20, streams: 1 },
          { peer: '127.64.0.4', sentBytes: 5, receivedBytes: 0, streams: 1 },
        ],
        openStreams: 2,
        resumes: 0,
        resets: { gone: 1, refused: 3 },
        foreignConnections: 4,
      },
    ]
    expect(sumFigures(lanes)).toEqual({
      peers: [
        { peer: '127.64.0.3', sentBytes: 11, receivedBytes: 22, streams: 2 },
        { peer: '127.64.0.4', sentBytes: 5, receivedBytes: 0, streams: 1 },
      ],
      openStreams: 3,
      resumes: 2,
      resets: { gone: 2, refused: 3 },
      foreignConnections: 4,
    })
  })
})
