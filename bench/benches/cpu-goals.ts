/** What bulk-16 and bulk-1 ask of CPU time alike. Pure. */
import type { Rows, Verdict } from '../bench.ts'
import { ratioGoal, reportRatio } from '../goals.ts'

/** `relayAtMost`: of HAProxy's CPU time a GiB, for the relay. */
export function cpuGoals(rows: Rows, relayAtMost: number): readonly Verdict[] {
  const limit = Number.isInteger(relayAtMost) ? relayAtMost.toFixed(1) : String(relayAtMost)
  return [
    ratioGoal(rows, {
      says: `relay CPU a GiB ≤ ${limit} × HAProxy`,
      key: 'relayCpuSGib',
      rival: 'haproxy',
      atMost: relayAtMost,
    }),
    ratioGoal(rows, {
      says: 'sending endpoint CPU a GiB ≤ 1.0 × HAProxy',
      key: 'senderCpuSGib',
      rival: 'haproxy',
      rivalKey: 'relayCpuSGib',
      atMost: 1,
    }),
    ratioGoal(rows, {
      says: 'receiving endpoint CPU a GiB ≤ 1.0 × HAProxy',
      key: 'receiverCpuSGib',
      rival: 'haproxy',
      rivalKey: 'relayCpuSGib',
      atMost: 1,
    }),
    reportRatio(rows, {
      says: 'relay CPU a GiB against wstunnel’s server',
      key: 'relayCpuSGib',
      rival: 'wstunnel',
    }),
    // A tunnel's client is at the receiving end: it has no other.
    reportRatio(rows, {
      says: 'sending endpoint CPU a GiB against rathole’s client',
      key: 'senderCpuSGib',
      rival: 'rathole',
      rivalKey: 'receiverCpuSGib',
    }),
    reportRatio(rows, {
      says: 'receiving endpoint CPU a GiB against rathole’s client',
      key: 'receiverCpuSGib',
      rival: 'rathole',
    }),
  ]
}
