import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const file = resolve('relay/loopback/give-back.ts')

/** MiB resident that a process of its own has lost 2 s after it has made much and kept nothing. */
async function lostAfterStart(call: string): Promise<number> {
  const script = `
    import { giveBackOnceSettled } from ${JSON.stringify(file)}
    let made = Array.from({ length: 300_000 }, (_, at) => ({ at, text: 'some ' + at }))
    made = undefined
    const before = process.memoryUsage.rss()
    ${call}
    setTimeout(() => console.log((before - process.memoryUsage.rss()) / 1024 ** 2), 2_000)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  return Number(stdout)
}

describe('the space that a start has left', () => {
  it('is given back a second later, and not without', async () => {
    const [lost, kept] = await Promise.all([lostAfterStart('giveBackOnceSettled()'), lostAfterStart('')])
    expect(lost).toBeGreaterThan(15)
    expect(kept).toBeLessThan(5)
  })

  it('does not keep a program alive that is done', async () => {
    const script = `
      import { giveBackOnceSettled } from ${JSON.stringify(file)}
      giveBackOnceSettled()
      console.log(process.getActiveResourcesInfo().includes('Timeout'))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout.trim()).toBe('false')
  })
})
