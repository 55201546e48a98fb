/**
 * An agent in small: runs one function of the local provider with a command in place of the
 * shim. Tests start it as a process of its own, to run it as another user, or to kill it.
 * Argument: a LocalRun as JSON. Stdout, a line each: `{"log":PATH}`, `{"ready":true}` when the
 * command has written its first line, `{"end":FunctionEnd}`, `{"closed":true}`.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { createTestProvider } from '../../driver-agent/local/for-test.ts'
import { examplePayload } from './example-payload.ts'

export interface LocalRun {
  readonly command: readonly string[]
  readonly workRoot?: string
  readonly disableIpv6?: boolean
  readonly tmpBytes?: number
  readonly maxLifetimeMs?: number
  readonly memoryBytes?: number
  readonly relays?: readonly string[]
  readonly token?: string
  readonly env?: Readonly<Record<string, string>>
}

const run = JSON.parse(process.argv[2] ?? '{}') as LocalRun
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)
const logDir = mkdtempSync(join(tmpdir(), 'local-function-logs-'))
const log = join(logDir, 'example-exec-1.log')
const provider = createTestProvider(
  {
    shimCommand: [],
    sparkHome: '/nonexistent',
    logDir,
    memorySlackBytes: 0,
    logger: pino({ level: 'warn' }, pino.destination(2)),
    ...(run.workRoot === undefined ? {} : { workRoot: run.workRoot }),
    ...(run.tmpBytes === undefined ? {} : { tmpBytes: run.tmpBytes }),
    ...(run.env === undefined ? {} : { env: run.env }),
  },
  { command: run.command, disableIpv6: run.disableIpv6 ?? false },
)
say({ log })
const handle = provider.start(
  examplePayload({
    maxLifetimeMs: run.maxLifetimeMs ?? 60_000,
    ...(run.relays === undefined ? {} : { relays: [...run.relays] }),
    ...(run.token === undefined ? {} : { token: run.token }),
    pod: { memoryBytes: run.memoryBytes ?? 1024 * 1024 * 1024 },
  }),
)
const looking = setInterval(() => {
  if (statSync(log).size === 0) return
  clearInterval(looking)
  say({ ready: true })
}, 10)
process.once('SIGTERM', () => void handle.stop())
say({ end: await handle.ended })
clearInterval(looking)
await provider.close()
say({ closed: true })
process.once('exit', () => rmSync(logDir, { recursive: true, force: true }))
// The test reads the log first, then closes our stdin.
process.stdin.resume()
process.stdin.once('end', () => process.exit(0))
