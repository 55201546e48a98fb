/** The figures of both lanes as one. Pure. Used by tunnel.ts. */
import type { LaneFigures } from './lane.ts'
import type { PeerBytes, TunnelStats } from './tunnel-types.ts'

export function sumFigures(lanes: readonly LaneFigures[]): TunnelStats {
  const peers = new Map<string, PeerBytes>()
  const resets: Record<string, number> = {}
  let openStreams = 0
  let resumes = 0
  let foreignConnections = 0
  for (const lane of lanes) {
    openStreams += lane.openStreams
    resumes += lane.resumes
    foreignConnections += lane.foreignConnections
    for (const [reason, count] of Object.entries(lane.resets)) resets[reason] = (resets[reason] ?? 0) + count
    for (const { peer, sentBytes, receivedBytes, streams } of lane.peers) {
      const before = peers.get(peer)
      peers.set(peer, {
        peer,
        sentBytes: sentBytes + (before?.sentBytes ?? 0),
        receivedBytes: receivedBytes + (before?.receivedBytes ?? 0),
        streams: streams + (before?.streams ?? 0),
      })
    }
  }
  return { peers: [...peers.values()], openStreams, resumes, foreignConnections, resets }
}
