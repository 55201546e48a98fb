/** The command line's words for an endpoint's limits, turned into the endpoint's. Used by the shim, `exec` and the agent. */

/** What `--handshake`, `--keepalive`, `--silence`, `--linger`, `--window`, `--budget`, `--send-budget` were read into. */
export interface EndpointOptionValues {
  readonly handshakeMs: number
  readonly keepaliveMs: number
  readonly silenceMs: number
  readonly lingerMs: number
  readonly windowBytes: number
  readonly budgetBytes: number
  readonly sendBudgetBytes: number
}

/** For TunnelOptions.endpoint. */
export function endpointLimitsOf(options: EndpointOptionValues): Record<string, number> {
  return {
    handshakeMs: options.handshakeMs,
    keepaliveMs: options.keepaliveMs,
    silenceMs: options.silenceMs,
    noRelayMs: options.lingerMs,
    initialWindowBytes: options.windowBytes,
    receiveBudgetBytes: options.budgetBytes,
    sendBudgetBytes: options.sendBudgetBytes,
  }
}
