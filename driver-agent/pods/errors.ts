/** What the table of pods refuses. Thrown to the facade only, which turns each code into an HTTP status. */

const statuses = {
  /** The object cannot be a pod of ours: the message names the field. */
  invalid: { http: 422, reason: 'Invalid' },
  exists: { http: 409, reason: 'AlreadyExists' },
  absent: { http: 404, reason: 'NotFound' },
  /** A selector that cannot be read. */
  'bad-request': { http: 400, reason: 'BadRequest' },
} as const satisfies Record<string, { http: number; reason: string }>

export type PodsErrorCode = keyof typeof statuses

export class PodsError extends Error {
  override readonly name = 'PodsError'
  readonly code: PodsErrorCode
  /** HTTP status, and `reason` of Kubernetes' Status object. */
  readonly http: number
  readonly reason: string
  constructor(code: PodsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.http = statuses[code].http
    this.reason = statuses[code].reason
  }
}
