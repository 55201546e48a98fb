/**
 * A lane with its real parts: an endpoint that dials relays over sockets, and system time.
 * Used by tunnel.ts and, in the worker thread, by bulk-worker.ts.
 */
import type { Logger } from 'pino'
import { Endpoint } from '../endpoint/index.ts'
import { createPipeDialer } from '../pipe/dial.ts'
import { systemClock } from '../time/clock.ts'
import { type LaneEvents, type LaneOptions, LocalLane } from './lane.ts'
import type { TokenSource } from './tunnel-types.ts'

export function createLane(
  options: LaneOptions,
  token: TokenSource,
  events: LaneEvents,
  log: Pick<Logger, 'warn'>,
): LocalLane {
  const { class: trafficClass, address, incarnation, relays, limits, tlsCaFile, detours } = options
  return new LocalLane(options, events, {
    clock: systemClock,
    log,
    createEndpoint: (endpointEvents) =>
      new Endpoint({
        class: trafficClass,
        address,
        incarnation,
        relays,
        limits,
        token,
        dialer: createPipeDialer({
          ...(tlsCaFile === undefined ? {} : { tlsCaFile }),
          ...(detours === undefined ? {} : { detours }),
        }),
        clock: systemClock,
        random: Math.random,
        events: endpointEvents,
      }),
  })
}
