import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { relayOptions } from '../../../cli/options/relay.ts'
import { readOptions } from '../../../cli/read-options.ts'
import { createDirectory } from '../../../relay/server/create-directory.ts'
import { systemClock } from '../../../relay/time/clock.ts'

const folder = mkdtempSync(join(tmpdir(), 'create-directory-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('the file of --redis-password-file', () => {
  it.each([
    [
      'is not there',
      undefined,
      0o600,
      /^--redis-password-file \S+ cannot be read \(ENOENT\); name a file of yours$/,
    ],
    [
      'can be read by others',
      'secret',
      0o640,
      /^--redis-password-file \S+ can be read by other users; run: chmod 600 /,
    ],
    ['is empty', ' \n', 0o600, /^--redis-password-file \S+ is empty$/],
  ])('is refused before Redis is dialled when it %s', async (what, text, mode, sentence) => {
    const redisPasswordFile = join(folder, what.replaceAll(' ', '-'))
    if (text !== undefined) writeFileSync(redisPasswordFile, text, { mode })
    const options = { ...readOptions(relayOptions, {}, {}), redis: 'redis://127.0.0.1:1', redisPasswordFile }
    const failed = createDirectory(options, systemClock, pino({ level: 'silent' }))
    await expect(failed).rejects.toMatchObject({ name: 'DirectoryOptionError', exitCode: 2 })
    await expect(failed).rejects.toThrow(sentence)
    await expect(failed).rejects.not.toThrow(/secret/)
  })
})
