import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createLocalProvider } from '../../../driver-agent/local/index.ts'
import { examplePayload } from '../../helper/example-payload.ts'
import { until } from '../../helper/local-function.ts'

it('hides functions, their logs and the agent from each other', async () => {
  const base = mkdtempSync(join(tmpdir(), 'neighbours-'))
  const logDir = join(base, 'logs')
  const secret = join(base, 'secret-file')
  writeFileSync(secret, 'agent-only')
  // Each says who it is, waits for the other, then looks for what it must not find.
  const look = `
    read -r payload; mkdir -p /tmp/work; echo mine >/tmp/work/found-me; echo ready >&3
    sleep 1; find / -xdev -path /proc -prune -o -name found-me -print 2>/dev/null >&3
    cat ${secret} 2>/dev/null >&3; ls ${logDir} 2>/dev/null >&3; ls ${base} 2>/dev/null >&3; echo looked >&3`
  const provider = createLocalProvider({
    shimCommand: ['sh', '-c', look],
    sparkHome: '/nonexistent',
    logDir,
    workRoot: join(base, 'work'),
    hide: [secret],
    logger: pino({ level: 'warn' }, pino.destination(2)),
  })
  onTestFinished(async () => {
    await provider.close()
    rmSync(base, { recursive: true })
  })
  const names = ['pod-a', 'pod-b']
  const handles = names.map((name) => provider.start(examplePayload({ pod: { name } })))
  const logOf = (name: string) => readFileSync(join(logDir, `${name}.log`), 'utf8')
  await until(() => names.every((name) => logOf(name).includes('ready')), 5000, 'both ready')
  for (const handle of handles) expect(await handle.ended).toEqual({ why: 'exited', code: 0 })
  for (const name of names) expect(logOf(name)).toBe('ready\n/tmp/work/found-me\nlooked\n')
})

it('refuses an egress that it cannot give', () => {
  const options = { shimCommand: [], sparkHome: '/', logDir: tmpdir(), logger: pino({ level: 'silent' }) }
  expect(() => createLocalProvider({ ...options, egress: 'host-proxy' })).toThrowError(
    /host-proxy is not supported.*--egress none/,
  )
})
