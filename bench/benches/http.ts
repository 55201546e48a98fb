/**
 * Question: how many HTTP requests go through, and how evenly?
 * Setup: autocannon with 16 connections that ask again and again; a Node server answers 512 B.
 * Rivals: HAProxy (in TCP mode), rathole, yamux, direct.
 * Answer: requests a second; p50 and p99, ms (autocannon counts in whole ms). To be reported.
 * Fails when a request of any run fails.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { boundGoal, reportGoal } from '../goals.ts'
import { runAutocannon } from '../testbed/autocannon.ts'
import { p50Ms, p99Ms } from './columns.ts'

export const http: Bench = {
  name: 'http',
  question: 'How many HTTP requests go through, and how evenly?',
  setup:
    'autocannon with 16 connections, replies of 512 B from a Node server, which is what most of the time goes into',
  contestants: contestants('ours', 'haproxy', 'rathole', 'yamux', 'direct'),
  columns: [{ key: 'requestsS', head: 'requests/s', digits: 0, better: 'more' }, p50Ms, p99Ms],
  needs: [],
  window: (seconds) => `${Math.max(1, Math.round(seconds))} s each`,
  measure: async (contestant, bed, { seconds }) =>
    runAutocannon(bed, await contestant.start(bed), { connections: 16, seconds }),
  judge: (rows) => [
    boundGoal(rows, { says: 'no request fails', key: 'failed', atMost: 0 }),
    reportGoal(rows, { says: 'requests a second', key: 'requestsS' }),
  ],
}
