/** The same as endpoint-main.ts with its code bound in: what built.ts makes one file of. */
import { startTunnel } from '../../relay/loopback/index.ts'
import { runEndpoints } from './start-endpoints.ts'

await runEndpoints(JSON.parse(process.argv[2] ?? ''), startTunnel)
