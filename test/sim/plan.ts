/**
 * What happens in one simulated schedule, as data: fast-check draws it, shrinks it and prints it.
 * Used by test/sim.
 */
import fc from 'fast-check'
import type { TrafficClass } from '../../relay/wire/control.ts'
import type { Script } from './talker.ts'

export interface PlanTalk {
  readonly is: 'talk'
  readonly from: number
  /** Index of an address; beyond the last: one that nobody has. */
  readonly to: number
  readonly opens: Script
  readonly accepts: Script
  readonly isRefused: boolean
}

export type PlanStep =
  | PlanTalk
  /** Both ends of a link learn at once that it is over, now or in the middle of a write. */
  | { readonly is: 'cut'; readonly who: number; readonly afterBytes: number }
  /** One end learns it, the other later or by silence. */
  | {
      readonly is: 'half-open'
      readonly who: number
      readonly knows: 'endpoint' | 'relay'
      readonly laterMs: number
    }
  /** From now on what it sends takes longer; with `vanishes` it is told that its links are lost, and what it sent arrives late. */
  | { readonly is: 'lag'; readonly who: number; readonly ms: number; readonly vanishes: boolean }
  /** Neither learns it: bytes vanish. */
  | { readonly is: 'silence'; readonly who: number }
  /** SIGSTOP and SIGCONT. */
  | { readonly is: 'stop'; readonly who: number; readonly ms: number }
  | { readonly is: 'stop-relay'; readonly relay: number; readonly ms: number }
  | { readonly is: 'restart-relay'; readonly relay: number; readonly downMs: number }
  /** The relay takes connections but says nothing. */
  | { readonly is: 'deaf-relay'; readonly relay: number; readonly ms: number }
  | { readonly is: 'drain-relay'; readonly relay: number; readonly downMs: number }
  | { readonly is: 'directory-outage'; readonly ms: number }
  | { readonly is: 'crash'; readonly who: number; readonly how: 'process' | 'machine' }
  /** A new process with the same address. */
  | { readonly is: 'rebirth'; readonly who: number; readonly higherGeneration: boolean }
  | { readonly is: 'close'; readonly who: number }
  | { readonly is: 'retire'; readonly by: number; readonly who: number }
  | { readonly is: 'reset'; readonly talk: number; readonly side: 'opener' | 'acceptor' }

export interface Plan {
  readonly seed: number
  readonly class: TrafficClass
  readonly latencyMs: number
  readonly kernelBytes: number
  readonly readBytes: number
  readonly endpoints: number
  readonly relays: number
  /** Of a directory that all relays share; each has its own when absent. */
  readonly directoryLatencyMs: number | undefined
  readonly floorBytes: number
  readonly windowBytes: number
  readonly budgetBytes: number
  readonly ackDelayMs: number
  readonly maxStreams: number
  readonly steps: readonly { readonly afterMs: number; readonly step: PlanStep }[]
}

const who = fc.nat({ max: 3 })
const relay = fc.nat({ max: 1 })

const script: fc.Arbitrary<Script> = fc.record(
  {
    writes: fc.oneof(
      { arbitrary: fc.constantFrom(0, 1), weight: 4 },
      { arbitrary: fc.integer({ min: 2, max: 400 }), weight: 8 },
      { arbitrary: fc.integer({ min: 2, max: 4_000 }), weight: 7 },
      { arbitrary: fc.integer({ min: 2, max: 30_000 }), weight: 1 },
    ),
    pieceBytes: fc.constantFrom(10_000, 1_000, 300),
    pauseMs: fc.constantFrom(0, 0, 0, 20),
    readDelayMs: fc.constantFrom(0, 0, 0, 1, 10),
    freezeAt: fc.integer({ min: 1, max: 2_000 }),
    freezeMs: fc.constantFrom(50, 900),
    acceptsAfterMs: fc.constantFrom(0, 30, 700),
  },
  { requiredKeys: ['writes', 'pieceBytes', 'pauseMs', 'readDelayMs'] },
)
const roughScript: fc.Arbitrary<Script> = fc
  .tuple(
    script,
    fc.record(
      { resetAt: fc.integer({ min: 1, max: 2_000 }), keepsOpen: fc.boolean() },
      { requiredKeys: ['keepsOpen'] },
    ),
  )
  .map(([base, rough]) => ({ ...base, ...rough }))

const talk = (from: fc.Arbitrary<Script>, mayFail: boolean): fc.Arbitrary<PlanTalk> =>
  fc
    .record({
      from: who,
      to: mayFail ? fc.oneof({ arbitrary: who, weight: 9 }, { arbitrary: fc.constant(9), weight: 1 }) : who,
      opens: from,
      accepts: from,
      isRefused: mayFail ? fc.nat({ max: 15 }).map((n) => n === 15) : fc.constant(false),
      last: fc.constantFrom('neither', 'neither', 'opener', 'acceptor'),
    })
    .map(
      ({ last, ...rest }): PlanTalk => ({
        is: 'talk',
        ...rest,
        opens: last === 'opener' ? { ...rest.opens, endsLast: true } : rest.opens,
        accepts: last === 'acceptor' ? { ...rest.accepts, endsLast: true } : rest.accepts,
      }),
    )

/** Nothing of this may cost a stream. */
const gentleFault: fc.Arbitrary<PlanStep> = fc.oneof(
  fc.record({
    is: fc.constant('cut' as const),
    who,
    afterBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3_000 })),
  }),
  fc.record({
    is: fc.constant('half-open' as const),
    who,
    knows: fc.constantFrom('endpoint' as const, 'relay' as const),
    laterMs: fc.constantFrom(5, 200, 100_000),
  }),
  fc.record({ is: fc.constant('silence' as const), who }),
  fc.record({
    is: fc.constant('lag' as const),
    who,
    ms: fc.integer({ min: 1, max: 100 }),
    vanishes: fc.boolean(),
  }),
  fc.record({ is: fc.constant('stop' as const), who, ms: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ is: fc.constant('stop-relay' as const), relay, ms: fc.integer({ min: 1, max: 400 }) }),
)
const restart: fc.Arbitrary<PlanStep> = fc.record({
  is: fc.constant('restart-relay' as const),
  relay,
  downMs: fc.integer({ min: 0, max: 1_500 }),
})
/** Some of this may: then both ends must hear of it. */
const roughFault: fc.Arbitrary<PlanStep> = fc.oneof(
  fc.record({ is: fc.constant('stop' as const), who, ms: fc.integer({ min: 1, max: 9_000 }) }),
  fc.record({ is: fc.constant('stop-relay' as const), relay, ms: fc.integer({ min: 1, max: 4_000 }) }),
  fc.record({ is: fc.constant('restart-relay' as const), relay, downMs: fc.integer({ min: 0, max: 9_000 }) }),
  fc.record({ is: fc.constant('deaf-relay' as const), relay, ms: fc.integer({ min: 1, max: 2_000 }) }),
  fc.record({ is: fc.constant('directory-outage' as const), ms: fc.integer({ min: 1, max: 4_000 }) }),
  fc.record({
    is: fc.constant('crash' as const),
    who,
    how: fc.constantFrom('process' as const, 'machine' as const),
  }),
  fc.record({ is: fc.constant('rebirth' as const), who, higherGeneration: fc.boolean() }),
  fc.record({ is: fc.constant('close' as const), who }),
  fc.record({ is: fc.constant('retire' as const), by: who, who }),
  fc.record({
    is: fc.constant('reset' as const),
    talk: fc.nat({ max: 8 }),
    side: fc.constantFrom('opener' as const, 'acceptor' as const),
  }),
)

const world = {
  seed: fc.integer({ min: 0, max: 0x7fff_ffff }),
  class: fc.constantFrom<TrafficClass[]>('bulk', 'urgent'),
  latencyMs: fc.constantFrom(1, 0, 20),
  kernelBytes: fc.constantFrom(65_536, 4_000, 1_000),
  readBytes: fc.constantFrom(8_192, 2_000, 500),
  endpoints: fc.integer({ min: 2, max: 3 }),
  floorBytes: fc.constantFrom(16_384, 1_000, 100),
  windowBytes: fc.constantFrom(65_536, 4_096, 200),
  budgetBytes: fc.constantFrom(1 << 20, 10_000, 1_000, 0),
  ackDelayMs: fc.constantFrom(5, 0, 50),
}
const after = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 250 }))

function steps(one: fc.Arbitrary<PlanStep>): fc.Arbitrary<Plan['steps']> {
  return fc.array(fc.record({ afterMs: after, step: one }), { minLength: 1, maxLength: 9, size: 'max' })
}

/** One relay, whatever can happen to links: no stream may be lost. */
export const gentlePlans: fc.Arbitrary<Plan> = fc.record({
  ...world,
  relays: fc.constant(1),
  directoryLatencyMs: fc.constantFrom(undefined, undefined, 0, 15),
  maxStreams: fc.constant(1_000),
  steps: steps(
    fc.oneof(
      { arbitrary: talk(script, false), weight: 6 },
      { arbitrary: gentleFault, weight: 5 },
      { arbitrary: restart, weight: 1 },
    ),
  ),
})

/** Everything that can happen to anybody. */
export const roughPlans: fc.Arbitrary<Plan> = fc.record({
  ...world,
  relays: fc.constant(1),
  directoryLatencyMs: fc.constantFrom(undefined, undefined, 0, 15),
  maxStreams: fc.constantFrom(1_000, 1_000, 2),
  steps: steps(
    fc.oneof(
      { arbitrary: talk(roughScript, true), weight: 6 },
      { arbitrary: gentleFault, weight: 3 },
      { arbitrary: roughFault, weight: 4 },
    ),
  ),
})

const drain: fc.Arbitrary<PlanStep> = fc.record({
  is: fc.constant('drain-relay' as const),
  relay,
  downMs: fc.integer({ min: 0, max: 500 }),
})

/** Two relays and a directory that knows who is where: homes are lost and moved, and no stream with them. */
export const homePlans: fc.Arbitrary<Plan> = fc.record({
  ...world,
  relays: fc.constant(2),
  directoryLatencyMs: fc.constantFrom(0, 0, 15),
  maxStreams: fc.constant(1_000),
  steps: steps(
    fc.oneof(
      { arbitrary: talk(script, false), weight: 6 },
      { arbitrary: gentleFault, weight: 4 },
      { arbitrary: restart, weight: 1 },
      { arbitrary: drain, weight: 2 },
    ),
  ),
})

/** The same, and everything that can happen to anybody. */
export const roughHomePlans: fc.Arbitrary<Plan> = fc.record({
  ...world,
  relays: fc.constant(2),
  directoryLatencyMs: fc.constantFrom(0, 0, 15),
  maxStreams: fc.constantFrom(1_000, 1_000, 2),
  steps: steps(
    fc.oneof(
      { arbitrary: talk(roughScript, true), weight: 6 },
      { arbitrary: gentleFault, weight: 2 },
      { arbitrary: drain, weight: 2 },
      { arbitrary: roughFault, weight: 4 },
    ),
  ),
})

export const planKinds = {
  gentle: gentlePlans,
  rough: roughPlans,
  homes: homePlans,
  'rough-homes': roughHomePlans,
}
