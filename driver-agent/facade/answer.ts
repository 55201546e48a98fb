/**
 * What a route answers, and the Status objects that the Kubernetes API answers with when there
 * is no object to show. Used inside driver-agent/facade/.
 */

export interface Answer {
  readonly http: number
  /** Written as JSON; undefined: no body at all. */
  readonly body: unknown
  /** The connection is closed behind it: the rest of the request was not read. */
  readonly close?: boolean
}

/** An error that a route ends with. `reason` is the API's word for the HTTP status. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly http: number
  readonly reason: string
  /** The request's body was not read to its end. */
  readonly unread: boolean
  constructor(http: number, reason: string, message: string, options?: ErrorOptions & { unread?: boolean }) {
    super(message, options)
    this.http = http
    this.reason = reason
    this.unread = options?.unread === true
  }
}

export function failure(http: number, reason: string, message: string): Answer {
  return {
    http,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: http },
  }
}

/** Of a DELETE of many. */
export function success(): Answer {
  return { http: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } }
}

/** What the API says for a path that it does not know. */
export function unknownPath(): Answer {
  return failure(404, 'NotFound', 'the server could not find the requested resource')
}
