/** An executor's log on its way to file and driver: whole, in messages that may be sent, without a leak. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { JvmLog } from '../../executor-shim/jvm-log.ts'
import { encodeMessage } from '../../relay/loopback/message-codec.ts'

describe('the log of an executor', () => {
  it('sends many long lines of three bytes a character in messages that each may be sent', async () => {
    const lines: string[] = []
    let messages = 0
    const log = new JvmLog({
      file: undefined,
      send: (some, dropped) => {
        encodeMessage({ is: 'log', lines: some, dropped })
        lines.push(...some)
        messages += 1
      },
      diskFullHint: () => '',
      onFileError: () => {},
    })
    const output = new PassThrough()
    const done = log.follow(output, 'err')
    output.end(`26/11/26 08:00:00 WARN Job: ${'数'.repeat(2_500)}\n`.repeat(200))
    await done
    log.flush()
    expect(lines).toHaveLength(200)
    expect(messages).toBeGreaterThan(3)
  })

  it('leaves no listener behind for each time that it waited for the disk', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slr-log-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const log = new JvmLog({
      file: join(folder, 'log'),
      send: () => {},
      diskFullHint: () => '',
      onFileError: () => {},
    })
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    onTestFinished(() => void process.off('warning', note))
    const output = new PassThrough({ highWaterMark: 1024 * 1024 })
    const done = log.follow(output, 'out')
    for (let mib = 0; mib < 40; mib += 1) {
      if (!output.write(`${'x'.repeat(1023)}\n`.repeat(1024))) {
        await new Promise((resolve) => output.once('drain', resolve))
      }
    }
    output.end()
    await done
    await log.close()
    expect(warnings.filter(({ name }) => name === 'MaxListenersExceededWarning')).toEqual([])
  })
})
