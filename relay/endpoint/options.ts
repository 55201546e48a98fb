/** Defaults and bounds of an endpoint, in one place. Used by endpoint.ts; the command line reads the bounds. */
import type { TrafficClass } from '../wire/control.ts'
import type { EndpointLimits } from './types.ts'

const KiB = 1024
const MiB = 1024 * KiB

/**
 * [default, least, most] of each limit; units are in the names and in types.ts. The least are what
 * the code can bear (the simulator lives there); the command line asks for more.
 */
export const endpointBounds = {
  receiveBudgetBytes: [32 * MiB, 0, 4096 * MiB],
  sendBudgetBytes: [32 * MiB, 0, 4096 * MiB],
  floorBytes: [16 * KiB, 16, MiB],
  initialWindowBytes: [256 * KiB, 16, 16 * MiB],
  maxWindowBytes: [16 * MiB, 64 * KiB, 256 * MiB],
  ackDelayMs: [50, 0, 1_000],
  keepaliveMs: [2_000, 10, 60_000],
  silenceMs: [6_000, 30, 180_000],
  noRelayMs: [45_000, 100, 3_600_000],
  orphanMs: [60_000, 100, 3_600_000],
  tombstoneMs: [60_000, 100, 3_600_000],
  openTimeoutMs: [30_000, 100, 600_000],
  handshakeMs: [5_000, 100, 60_000],
  goodbyeMs: [10_000, 0, 600_000],
  minBackoffMs: [50, 1, 10_000],
  maxBackoffMs: [1_000, 1, 60_000],
  maxStreams: [20_000, 1, 1_000_000],
} as const satisfies Record<keyof EndpointLimits, readonly [number, number, number]>

/** Urgent streams carry heartbeats: a deep window would put jars in front of them. */
const urgentDefaults: Partial<EndpointLimits> = {
  initialWindowBytes: 64 * KiB,
  maxWindowBytes: MiB,
}

/**
 * Fills in what is missing. Throws RangeError naming the limit that is out of its bounds.
 *
 * An opener repeats an OPEN that was not answered until `openTimeoutMs`, and what it said last may be a silence on its
 * way: acceptors must remember what has ended for as long, or they would take it for a new stream.
 */
export function endpointLimits(
  trafficClass: TrafficClass,
  overrides: Partial<EndpointLimits> = {},
): EndpointLimits {
  const limits: Record<string, number> = {}
  for (const [name, [standard, least, most]] of Object.entries(endpointBounds)) {
    const key = name as keyof EndpointLimits
    const value = overrides[key] ?? (trafficClass === 'urgent' ? urgentDefaults[key] : undefined) ?? standard
    if (!(value >= least && value <= most))
      throw new RangeError(`${name} is ${value}, must be ${least} to ${most}`)
    limits[name] = value
  }
  const least = (limits.openTimeoutMs ?? 0) + (limits.silenceMs ?? 0)
  if ((limits.tombstoneMs ?? 0) < least) {
    if (overrides.tombstoneMs !== undefined)
      throw new RangeError(
        `tombstoneMs is ${limits.tombstoneMs}, must be ${least} at least: openTimeoutMs and silenceMs together`,
      )
    limits.tombstoneMs = least
  }
  return limits as unknown as EndpointLimits
}
