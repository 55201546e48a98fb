/**
 * Question: what does an idle stream cost in memory?
 * Setup: 1,000 connections through the contestant, each of which has brought one byte back, then
 * silence; then 1,000 more. Growth of resident memory by the second thousand: the slope.
 * Rivals: HAProxy, rathole, yamux, bore, ssh.
 * Answer: KiB a stream at the relay and at each endpoint.
 * Fails above 8 KiB at relay or endpoint.
 */
import type { Bench } from '../bench.ts'
import { contestants } from '../contestants/index.ts'
import { limitGoal } from '../goals.ts'
import { runLoad } from '../testbed/load.ts'

/** Of silence, s. */
const HOLD_S = 2

const kib = (role: string) =>
  ({ key: `${role}KibConn`, head: `${role}, KiB a stream`, digits: 1, better: 'less' }) as const

export const idleStreams: Bench = {
  name: 'idle-streams',
  question: 'What does an idle stream cost in memory?',
  setup:
    '1,000 connections that have brought a byte back and then are silent, beside 1,000 such that were there before',
  contestants: contestants('ours', 'haproxy', 'rathole', 'bore', 'yamux', 'ssh'),
  columns: [kib('relay'), kib('sender'), kib('receiver')],
  isQuick: true,
  window: () => `${HOLD_S} s of silence each`,
  async measure(contestant, bed) {
    return runLoad(bed, await contestant.start(bed), { case: 'hold', conns: 1_000, seconds: HOLD_S })
  },
  judge: (rows) =>
    ['relay', 'sender', 'receiver'].map((role) =>
      limitGoal(rows, {
        says: `${role === 'relay' ? 'relay' : `${role} (endpoint)`} ≤ 8 KiB a stream`,
        key: `${role}KibConn`,
        atMost: 8,
      }),
    ),
}
