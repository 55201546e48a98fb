/**
 * From the command line's endpoint options to an endpoint's limits. Used by whoever starts a
 * tunnel: agent, shim, exec.
 */
import { endpointBounds } from './options.ts'
import type { EndpointLimits } from './types.ts'

/** The rows of `endpointOptions` in cli/options/shared.ts. */
export interface GivenEndpointOptions {
  readonly handshakeMs: number
  readonly keepaliveMs: number
  readonly silenceMs: number
  readonly lingerMs: number
  readonly windowBytes: number
  readonly budgetBytes: number
  readonly sendBudgetBytes: number
}

/**
 * For `TunnelOptions.endpoint`. What stands at its default is left out, because urgent
 * endpoints have defaults of their own.
 */
export function endpointOverrides(
  given: GivenEndpointOptions,
): Partial<Record<keyof EndpointLimits, number>> {
  const wanted: Partial<Record<keyof EndpointLimits, number>> = {
    handshakeMs: given.handshakeMs,
    keepaliveMs: given.keepaliveMs,
    silenceMs: given.silenceMs,
    noRelayMs: given.lingerMs,
    initialWindowBytes: given.windowBytes,
    receiveBudgetBytes: given.budgetBytes,
    sendBudgetBytes: given.sendBudgetBytes,
  }
  return Object.fromEntries(
    Object.entries(wanted).filter(
      ([name, value]) => value !== endpointBounds[name as keyof EndpointLimits][0],
    ),
  )
}
