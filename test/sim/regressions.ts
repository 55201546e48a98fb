/**
 * Schedules that failed once, made small, with what was wrong. Used by faults.test.ts. A new
 * failure of the random schedules is added here as fast-check prints it.
 */
import type { Plan } from './plan.ts'
import type { Script } from './talker.ts'

const plain = {
  seed: 0,
  class: 'bulk',
  latencyMs: 1,
  kernelBytes: 65_536,
  readBytes: 16_384,
  endpoints: 2,
  relays: 1,
  directoryLatencyMs: undefined,
  floorBytes: 16_384,
  windowBytes: 65_536,
  budgetBytes: 1 << 20,
  ackDelayMs: 5,
  maxStreams: 1_000,
} as const satisfies Omit<Plan, 'steps'>
const silent = { writes: 0, pieceBytes: 1_000, pauseMs: 0, readDelayMs: 0 }
const twoPieces = { ...silent, writes: 2, pieceBytes: 10_000 }

/** A conversation of two pieces each way, unless `accepts` says otherwise of the way back. */
function talk(afterMs: number, from: number, to: number, accepts: Script = twoPieces): Plan['steps'][number] {
  return { afterMs, step: { is: 'talk', from, to, opens: twoPieces, accepts, isRefused: false } }
}

export const regressions: readonly (readonly [story: string, plan: Plan])[] = [
  [
    'an opener that was stopped past its grace is told that its stream is lost, and not that it closed',
    {
      ...plain,
      steps: [
        { afterMs: 4, step: { is: 'stop', who: 3, ms: 3_659 } },
        {
          afterMs: 0,
          step: {
            is: 'talk',
            from: 3,
            to: 0,
            opens: { ...silent, writes: 1 },
            accepts: silent,
            isRefused: false,
          },
        },
      ],
    },
  ],
  [
    'a claim that is answered after a newer one of the same address does not take its place',
    {
      ...plain,
      directoryLatencyMs: 15,
      steps: [
        { afterMs: 10, step: { is: 'half-open', who: 0, knows: 'endpoint', laterMs: 12 } },
        {
          afterMs: 19,
          step: { is: 'talk', from: 2, to: 1, opens: silent, accepts: silent, isRefused: false },
        },
      ],
    },
  ],
  [
    'a stream that is resumed before it was ever answered sends its bytes once',
    {
      ...plain,
      seed: 18,
      class: 'urgent',
      kernelBytes: 600,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        {
          afterMs: 0,
          step: {
            is: 'talk',
            from: 3,
            to: 2,
            opens: { ...silent, writes: 51_321, pieceBytes: 10_000 },
            accepts: silent,
            isRefused: false,
          },
        },
      ],
    },
  ],
  [
    'an address whose lease points to a relay that is no more is not asked for without a pause',
    {
      ...plain,
      latencyMs: 0,
      directoryLatencyMs: 0,
      steps: [
        {
          afterMs: 0,
          step: {
            is: 'talk',
            from: 1,
            to: 2,
            opens: silent,
            accepts: { ...silent, writes: 2_247 },
            isRefused: false,
          },
        },
        { afterMs: 0, step: { is: 'restart-relay', relay: 1, downMs: 39 } },
      ],
    },
  ],
  [
    'a relay that drains is not visited without a pause',
    {
      ...plain,
      latencyMs: 0,
      endpoints: 3,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 0, step: { is: 'half-open', who: 0, knows: 'relay', laterMs: 50_000 } },
        {
          afterMs: 1,
          step: { is: 'talk', from: 1, to: 3, opens: silent, accepts: silent, isRefused: false },
        },
        { afterMs: 0, step: { is: 'drain-relay', relay: 0, downMs: 19 } },
      ],
    },
  ],
  [
    'an address is found elsewhere once, though the hint and the directory both say so',
    {
      ...plain,
      seed: 1_482_769_020,
      latencyMs: 0,
      relays: 2,
      directoryLatencyMs: 15,
      steps: [
        { afterMs: 0, step: { is: 'half-open', who: 0, knows: 'relay', laterMs: 781 } },
        {
          afterMs: 0,
          step: {
            is: 'talk',
            from: 3,
            to: 3,
            opens: { ...silent, writes: 4, pieceBytes: 300, pauseMs: 20 },
            accepts: { ...silent, endsLast: true },
            isRefused: false,
          },
        },
        {
          afterMs: 99,
          step: {
            is: 'talk',
            from: 3,
            to: 2,
            opens: silent,
            accepts: { ...silent, writes: 1, pauseMs: 20 },
            isRefused: false,
          },
        },
      ],
    },
  ],
  [
    'a stream whose opener was told that the peer is gone is not resumed for nobody when the peer comes back',
    {
      ...plain,
      steps: [
        {
          afterMs: 3,
          step: {
            is: 'talk',
            from: 0,
            to: 3,
            opens: silent,
            accepts: { ...silent, keepsOpen: true },
            isRefused: false,
          },
        },
        { afterMs: 0, step: { is: 'directory-outage', ms: 9 } },
        { afterMs: 7, step: { is: 'cut', who: 1, afterBytes: 0 } },
        { afterMs: 0, step: { is: 'retire', by: 0, who: 1 } },
      ],
    },
  ],
  [
    'an endpoint that loses its link to a relay that is leaving, while the only other one is away, is taken back',
    {
      ...plain,
      seed: 11_052_978,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 204, step: { is: 'half-open', who: 0, knows: 'endpoint', laterMs: 5 } },
        { afterMs: 0, step: { is: 'half-open', who: 3, knows: 'relay', laterMs: 100_000 } },
        { afterMs: 112, step: { is: 'drain-relay', relay: 0, downMs: 0 } },
        talk(249, 0, 0),
        talk(139, 0, 0),
        { afterMs: 0, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
        { afterMs: 0, step: { is: 'restart-relay', relay: 0, downMs: 958 } },
        talk(1, 0, 3),
        talk(1, 0, 0, { ...twoPieces, endsLast: true }),
      ],
    },
  ],
  [
    'endpoints whose relays all leave at once stay where they are, and do not go from one to the other for ever',
    {
      ...plain,
      latencyMs: 0,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 1, step: { is: 'drain-relay', relay: 0, downMs: 0 } },
        { afterMs: 1, step: { is: 'restart-relay', relay: 1, downMs: 0 } },
        { afterMs: 0, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
      ],
    },
  ],
  [
    'a stream that is refused because there are too many may be refused',
    {
      ...plain,
      maxStreams: 2,
      steps: [
        {
          afterMs: 9,
          step: {
            is: 'talk',
            from: 0,
            to: 1,
            opens: { ...silent, keepsOpen: true },
            accepts: silent,
            isRefused: false,
          },
        },
        {
          afterMs: 9,
          step: { is: 'talk', from: 1, to: 1, opens: silent, accepts: silent, isRefused: false },
        },
      ],
    },
  ],
  [
    'an endpoint is taken back by a relay that is leaving also when no other relay is known to it',
    {
      ...plain,
      seed: 11_081_408,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 4, step: { is: 'half-open', who: 0, knows: 'endpoint', laterMs: 5 } },
        { afterMs: 0, step: { is: 'half-open', who: 3, knows: 'relay', laterMs: 100_000 } },
        { afterMs: 112, step: { is: 'drain-relay', relay: 0, downMs: 0 } },
        talk(249, 0, 0),
        talk(139, 0, 0),
        { afterMs: 0, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
        { afterMs: 0, step: { is: 'restart-relay', relay: 0, downMs: 969 } },
        talk(1, 0, 3),
        talk(1, 0, 0, { ...twoPieces, writes: 15, endsLast: true }),
      ],
    },
  ],
  [
    'a stream that waits for a visit goes on at once when its peer turns out to be at the own home by now',
    {
      ...plain,
      seed: 870_763_707,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 2, step: { is: 'stop', who: 0, ms: 5 } },
        { afterMs: 1, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
        talk(0, 1, 0, { ...twoPieces, writes: 0 }),
        talk(5, 3, 0),
        talk(0, 0, 0),
      ],
    },
  ],
  [
    'an acceptor that takes its time learns from a RESUME that its credit is less than OPEN said',
    {
      ...plain,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        talk(1, 0, 0, { ...twoPieces, acceptsAfterMs: 700 }),
        { afterMs: 5, step: { is: 'silence', who: 0 } },
        { afterMs: 1, step: { is: 'reset', talk: 0, side: 'opener' } },
        talk(1, 0, 9),
      ],
    },
  ],
  [
    'a relay that leaves while no other one is up gives nobody up: whoever is missing waits for the next relay',
    {
      ...plain,
      seed: 1_488_826_162,
      class: 'urgent',
      readBytes: 2_000,
      relays: 2,
      directoryLatencyMs: 15,
      steps: [
        talk(0, 0, 3),
        { afterMs: 2, step: { is: 'silence', who: 1 } },
        { afterMs: 116, step: { is: 'restart-relay', relay: 0, downMs: 1_455 } },
        { afterMs: 273, step: { is: 'drain-relay', relay: 0, downMs: 137 } },
        { afterMs: 17, step: { is: 'stop-relay', relay: 1, ms: 396 } },
        { afterMs: 247, step: { is: 'drain-relay', relay: 1, downMs: 318 } },
      ],
    },
  ],
  [
    'whoever asks for a peer that attaches here while the directory fails to answer is joined to it',
    {
      ...plain,
      seed: 167,
      relays: 2,
      directoryLatencyMs: 15,
      steps: [
        talk(5, 0, 1, { ...twoPieces, writes: 15_000 }),
        { afterMs: 20, step: { is: 'restart-relay', relay: 1, downMs: 900 } },
        { afterMs: 15, step: { is: 'directory-outage', ms: 300 } },
      ],
    },
  ],
  [
    'a stream that was reset before its acceptor stood still for longer than tombstones last is not accepted again',
    {
      ...plain,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 208, step: { is: 'stop', who: 3, ms: 169 } },
        { afterMs: 20, step: { is: 'lag', who: 3, ms: 19, vanishes: true } },
        talk(0, 1, 0),
        talk(8, 3, 0),
        { afterMs: 7, step: { is: 'reset', talk: 1, side: 'opener' } },
        { afterMs: 81, step: { is: 'stop', who: 0, ms: 8_483 } },
      ],
    },
  ],
  [
    'a stream whose opener stood still is not accepted again within all of the time that its end is remembered',
    {
      ...plain,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        { afterMs: 4, step: { is: 'stop', who: 0, ms: 8_984 } },
        talk(1, 0, 1),
        { afterMs: 1, step: { is: 'cut', who: 0, afterBytes: 0 } },
        talk(1, 0, 0),
      ],
    },
  ],
  [
    'an opener that stood still for longer than an acceptor remembers gives its stream up, and is not accepted again',
    {
      ...plain,
      latencyMs: 20,
      readBytes: 8_192,
      relays: 2,
      directoryLatencyMs: 0,
      steps: [
        {
          afterMs: 171,
          step: {
            is: 'talk',
            from: 0,
            to: 0,
            opens: { writes: 2, pieceBytes: 10000, pauseMs: 0, readDelayMs: 0, keepsOpen: false },
            accepts: { writes: 0, pieceBytes: 10000, pauseMs: 0, readDelayMs: 0, keepsOpen: false },
            isRefused: false,
          },
        },
        {
          afterMs: 5,
          step: {
            is: 'talk',
            from: 0,
            to: 1,
            opens: { writes: 2, pieceBytes: 10000, pauseMs: 0, readDelayMs: 0, keepsOpen: false },
            accepts: {
              writes: 2,
              pieceBytes: 10000,
              pauseMs: 0,
              readDelayMs: 0,
              acceptsAfterMs: 700,
              keepsOpen: false,
            },
            isRefused: false,
          },
        },
        { afterMs: 201, step: { is: 'half-open', who: 0, knows: 'relay', laterMs: 100000 } },
        { afterMs: 2, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
        { afterMs: 18, step: { is: 'drain-relay', relay: 1, downMs: 0 } },
        {
          afterMs: 13,
          step: {
            is: 'talk',
            from: 0,
            to: 0,
            opens: { writes: 2, pieceBytes: 10000, pauseMs: 0, readDelayMs: 0, keepsOpen: false },
            accepts: { writes: 2, pieceBytes: 10000, pauseMs: 0, readDelayMs: 0, keepsOpen: false },
            isRefused: false,
          },
        },
        { afterMs: 7, step: { is: 'retire', by: 0, who: 0 } },
        { afterMs: 7, step: { is: 'stop', who: 0, ms: 8735 } },
      ],
    },
  ],
]
