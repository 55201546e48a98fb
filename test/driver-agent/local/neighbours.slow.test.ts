import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createLocalProvider } from '../../../driver-agent/local/index.ts'
import { examplePayload } from '../../helper/example-payload.ts'
import { howEnded } from '../../helper/how-ended.ts'
import { until } from '../../helper/local-function.ts'

it('hides functions, their logs and the agent from each other', async () => {
  const base = mkdtempSync(join(tmpdir(), 'neighbours-'))
  const logDir = join(base, 'logs')
  // Not below /tmp, which is hidden whatever is asked.
  mkdirSync('.cache', { recursive: true })
  const keys = mkdtempSync(resolve('.cache/neighbours-'))
  const secret = join(keys, 'secret-file')
  writeFileSync(secret, 'agent-only')
  // Each says who it is, waits for the other, then looks for what it must not find.
  const look = `
    read -r payload; mkdir -p /tmp/work; echo mine >/tmp/work/found-me; echo ready >&3
    sleep 1; find / -xdev -path /proc -prune -o -name found-me -print 2>/dev/null >&3
    cat ${secret} 2>/dev/null >&3; ls ${logDir} 2>/dev/null >&3; ls ${base} 2>/dev/null >&3; echo looked >&3`
  const provider = createLocalProvider({
    shimCommand: ['sh', '-c', look],
    sparkHome: '/nonexistent',
    // As a user may type them.
    logDir: relative('.', logDir),
    workRoot: join(base, 'work'),
    hide: [relative('.', secret)],
    logger: pino({ level: 'warn' }, pino.destination(2)),
  })
  onTestFinished(async () => {
    await provider.close()
    for (const folder of [base, keys]) rmSync(folder, { recursive: true })
  })
  const names = ['pod-a', 'pod-b']
  const handles = names.map((name) => provider.start(examplePayload({ pod: { name } })))
  const logOf = (name: string) => readFileSync(join(logDir, `${name}.log`), 'utf8')
  await until(() => names.every((name) => logOf(name).includes('ready')), 20_000, 'both ready')
  for (const handle of handles) expect(await howEnded(handle.ended)).toEqual({ why: 'exited', code: 0 })
  for (const name of names) expect(logOf(name)).toBe('ready\n/tmp/work/found-me\nlooked\n')
})

it('refuses an egress that it cannot give', () => {
  const options = { shimCommand: [], sparkHome: '/', logDir: tmpdir(), logger: pino({ level: 'silent' }) }
  expect(() => createLocalProvider({ ...options, egress: 'host-proxy' })).toThrowError(
    /host-proxy is not supported.*--egress none/,
  )
})
