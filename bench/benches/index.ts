/** Every bench, in the order in which they run. */
import type { Bench } from '../bench.ts'
import { bulk1 } from './bulk-1.ts'
import { bulk16 } from './bulk-16.ts'
import { rpc } from './rpc.ts'
import { rpcBulk } from './rpc-bulk.ts'

export const benches: readonly Bench[] = [bulk16, bulk1, rpc, rpcBulk]
