/** Every bench, in the order in which they run and are reported. */
import type { Bench } from '../bench.ts'
import { blocks } from './blocks.ts'
import { bulk1 } from './bulk-1.ts'
import { bulk16 } from './bulk-16.ts'
import { dial } from './dial.ts'
import { frozenReader } from './frozen-reader.ts'
import { http } from './http.ts'
import { idleEndpoints } from './idle-endpoints.ts'
import { idleStreams } from './idle-streams.ts'
import { incast } from './incast.ts'
import { roundTrip } from './round-trip.ts'
import { rpc } from './rpc.ts'
import { rpcBulk } from './rpc-bulk.ts'
import { scaling } from './scaling.ts'
import { shim } from './shim.ts'
import { smallBlock } from './small-block.ts'
import { sparkDemo } from './spark-demo.ts'
import { sparkShuffle, sparkShuffleEncrypted } from './spark-shuffle.ts'
import { tls } from './tls.ts'
import { websocket } from './websocket.ts'

export const benches: readonly Bench[] = [
  bulk16,
  bulk1,
  websocket,
  tls,
  rpc,
  rpcBulk,
  http,
  blocks,
  smallBlock,
  roundTrip,
  frozenReader,
  incast,
  idleStreams,
  idleEndpoints,
  shim,
  dial,
  scaling,
  sparkShuffle,
  sparkShuffleEncrypted,
  sparkDemo,
]
