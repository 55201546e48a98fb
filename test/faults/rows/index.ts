/** All rows of the fault table that checked streams run through, in its order. */
import type { FaultRow } from '../row.ts'
import { blackhole } from './packets.ts'
import { freezeReader, freezeShim, killFunction } from './parties.ts'
import { cutAllOff, cutOneOff, emptyRedis, failover } from './redis.ts'
import { bothEnds, freezeRelay, killRelays, rolling } from './relays.ts'
import { refusedDials, resets, silentUplink, slowUplink } from './uplinks.ts'

export const rows: readonly FaultRow[] = [
  killRelays,
  freezeRelay,
  freezeShim,
  rolling,
  blackhole,
  silentUplink,
  bothEnds,
  cutOneOff,
  cutAllOff,
  resets,
  refusedDials,
  slowUplink,
  emptyRedis,
  failover,
  freezeReader,
  killFunction,
]
