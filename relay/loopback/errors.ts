/**
 * How a tunnel can fail, as those who started it see it: a sentence with the remedy, and a
 * code. Thrown by startTunnel, given by Tunnel.ended; caught by shim, agent and `exec`.
 */

/** `exitCode` is what a command ends with: 2 for wrong use, 1 for what went wrong later. */
const tunnelFailures = {
  /** A port or an address that cannot be used as asked; nothing was started. */
  usage: { exitCode: 2 },
  /** Another program holds a port that we must listen on. */
  'port-in-use': { exitCode: 2 },
  /** The system refused a listener for another reason (permission, descriptors). */
  'cannot-listen': { exitCode: 1 },
  /** No relay would have us: token, address, generation. Trying again is useless. */
  refused: { exitCode: 1 },
  /** No relay was found for as long as we may look. */
  'no-relay': { exitCode: 1 },
  /** A thread of ours died: a fault of this program. */
  internal: { exitCode: 1 },
} as const
export type TunnelFailure = keyof typeof tunnelFailures

export class TunnelError extends Error {
  override readonly name = 'TunnelError'
  readonly code: TunnelFailure

  constructor(code: TunnelFailure, sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.code = code
  }

  get exitCode(): number {
    return tunnelFailures[this.code].exitCode
  }
}

/** What to tell of a listener that could not be opened on `host:port`. Pure. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): TunnelError {
  const place = `${host}:${port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return new TunnelError(
        'port-in-use',
        `port ${port} is in use by another program (listening on ${place} was refused): end that program, choose another port, or give each its own network namespace (exec --isolate)`,
        { cause: error },
      )
    case 'EACCES':
      return new TunnelError(
        'usage',
        `listening on ${place} needs more rights than this user has: choose a port of 1024 or higher`,
        { cause: error },
      )
    case 'EMFILE':
    case 'ENFILE':
      return new TunnelError(
        'cannot-listen',
        `no file descriptor is left to listen on ${place}: raise the limit (ulimit -n), or lower the number of per-peer listeners`,
        { cause: error },
      )
    default:
      return new TunnelError('cannot-listen', `cannot listen on ${place}: ${error.message}`, { cause: error })
  }
}
