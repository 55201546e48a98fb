/** A local program's TCP connections as streams on the relay. For executor-shim, driver-agent and `exec`. */
export { hasIpv6Loopback, isVirtualAddress, virtualAddress } from './address.ts'
export { TunnelError, type TunnelFailure } from './errors.ts'
export { CONTROL_PORT } from './lane.ts'
export { MAX_MESSAGE_BYTES } from './message-codec.ts'
export { startTunnel } from './tunnel.ts'
export type {
  DialPort,
  MessageChannel,
  PeerBytes,
  ServePort,
  TokenSource,
  TrafficClass,
  Tunnel,
  TunnelOptions,
  TunnelStats,
} from './tunnel-types.ts'
