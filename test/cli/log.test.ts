import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../cli/log.ts'

let folder: string
let fd: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slr-log-'))
  fd = openSync(join(folder, 'log'), 'w')
})
afterEach(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true })
})
const written = () => readFileSync(join(folder, 'log'), 'utf8')

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJhcHAiOiJhIn0.c2lnbmF0dXJl'

describe.each(['json', 'pretty'] as const)('a %s log', (logFormat) => {
  it('holds what was said, and no secret wherever it stood', () => {
    const log = createLogger('relay', { logLevel: 'info', logFormat }, fd)
    log.info(
      { token: 'hush-1', link: { secret: 'hush-2', port: 7100 }, env: { _SPARK_AUTH_SECRET: 'hush-3' } },
      'attached',
    )
    log.warn(`refused Bearer ${jwt} by redis://user:hush-4@host:6379/0`)
    log.error({ err: new Error(`no ${jwt}`) }, 'failed')
    log.debug('too quiet')
    expect(written()).toContain('attached')
    expect(written()).toContain('7100')
    expect(written()).toContain('redis://user:[redacted]@host:6379/0')
    expect(written()).not.toContain('hush-')
    expect(written()).not.toContain('eyJ')
    expect(written()).not.toContain('too quiet')
  })
})

it('is JSON, a line an entry, where stderr is no terminal', () => {
  createLogger('relay', { logLevel: 'info', logFormat: 'auto' }, fd).info({ links: 2 }, 'ready')
  expect(JSON.parse(written())).toMatchObject({ name: 'relay', links: 2, msg: 'ready' })
})
