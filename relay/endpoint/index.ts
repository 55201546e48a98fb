/** What dials out: links, streams, credit, resume. For relay/loopback, driver-agent, tests and benches. */
export { Endpoint, type EndpointState } from './endpoint.ts'
export { endpointBounds, endpointLimits } from './options.ts'
export * from './types.ts'
