/**
 * Every way in which a stream, a link or an attachment can fail, with the number that stands
 * for it on the wire. The lists are closed: what is not here cannot be said. Used everywhere
 * under relay/.
 */

/** Why a stream was reset, or never came to be. Carried by RESET. */
export const resetReasons = {
  /** The machine is there, nobody listens on the port. */
  refused: 1,
  /** No endpoint has this address. */
  unknown: 2,
  /** The peer's endpoint was given up: goodbye, retired, or grace over. */
  gone: 3,
  /** A limit was reached, at a relay or at the peer. */
  overloaded: 4,
  /** The peer serves no such port, or may not be reached by this role. */
  forbidden: 5,
  /** The program behind the stream reset its connection. */
  aborted: 6,
  /** The peer no longer has the stream: its process is another one, or it forgot. */
  lost: 7,
  /** Opening took too long. */
  timeout: 8,
  /** The endpoint is shutting down and did not get to the end of the stream. */
  shutdown: 9,
  /** The peer sent on this stream what no peer may send. */
  violation: 10,
} as const
export type ResetReason = keyof typeof resetReasons

/** Whether another attach may help: at once, after a back-off, or never with this token. */
export type Retry = 'at-once' | 'after-backoff' | 'never'

/** Why a link was closed. Carried by CLOSE. */
export const closeReasons = {
  /** Malformed or out-of-turn frames. */
  violation: { wire: 1, retry: 'after-backoff' },
  /** No common protocol version. */
  version: { wire: 2, retry: 'never' },
  /** Missing, malformed or badly signed token. */
  unauthorized: { wire: 3, retry: 'never' },
  /** The token's time is over, or has not come. */
  expired: { wire: 4, retry: 'after-backoff' },
  /** The token does not allow this: key outside its prefix, role, address. */
  forbidden: { wire: 5, retry: 'never' },
  /**
   * A newer link or generation of the same address took over. Whoever attaches again is told
   * `retired` if that was another process; if it was an older attempt of its own, it gets in.
   */
  superseded: { wire: 6, retry: 'after-backoff' },
  /** The address's generation was retired by the agent. */
  retired: { wire: 7, retry: 'never' },
  /** Another incarnation of the same generation holds the address. */
  taken: { wire: 8, retry: 'after-backoff' },
  /** A limit, named in the sentence. */
  overloaded: { wire: 9, retry: 'after-backoff' },
  /** The handshake took too long. */
  timeout: { wire: 10, retry: 'after-backoff' },
  /** Nothing came for the silence limit. */
  silent: { wire: 11, retry: 'at-once' },
  /** The relay is leaving; attach elsewhere. */
  draining: { wire: 12, retry: 'at-once' },
  /** The endpoint is done. Nothing is wrong. */
  goodbye: { wire: 13, retry: 'never' },
  /** A fault of the closing side. */
  internal: { wire: 14, retry: 'after-backoff' },
} as const satisfies Record<string, { wire: number; retry: Retry }>
export type CloseReason = keyof typeof closeReasons

const resetByNumber = new Map<number, ResetReason>(
  Object.entries(resetReasons).map(([name, wire]) => [wire, name as ResetReason]),
)
const closeByNumber = new Map<number, CloseReason>(
  Object.entries(closeReasons).map(([name, { wire }]) => [wire, name as CloseReason]),
)

/** The reason behind a number; a number of a newer version reads as `lost`: the stream is over all the same. */
export function resetReasonOf(wire: number): ResetReason {
  return resetByNumber.get(wire) ?? 'lost'
}

/** The reason behind a number; one that is not known reads as `internal`. */
export function closeReasonOf(wire: number): CloseReason {
  return closeByNumber.get(wire) ?? 'internal'
}

/** A link's failure: the code goes on the wire and says whether trying again can help. */
export class RelayError extends Error {
  override readonly name = 'RelayError'
  readonly code: CloseReason

  constructor(code: CloseReason, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options)
    this.code = code
  }

  get retry(): Retry {
    return closeReasons[this.code].retry
  }
}

/** Malformed or out-of-turn input. `detail` names who, what came, and what was allowed. */
export function violation(detail: string): RelayError {
  return new RelayError('violation', detail)
}
