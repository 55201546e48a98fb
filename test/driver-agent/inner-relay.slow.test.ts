/** The relay inside, as real processes: it comes back, or is given up with a sentence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { selfCommand } from '../../cli/self.ts'
import { type InnerRelay, type InnerRelayOptions, startInnerRelay } from '../../driver-agent/inner-relay.ts'
import { generateKeyLine } from '../../relay/token/index.ts'

let dir: string
let relay: InnerRelay | undefined
let secretFile: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slr-ir-'))
  secretFile = join(dir, 'secret')
  writeFileSync(secretFile, `${generateKeyLine('run', '*')}\n`, { mode: 0o600 })
})
afterEach(async () => {
  await relay?.stop()
  relay = undefined
  rmSync(dir, { recursive: true, force: true })
})

async function start(more: Partial<InnerRelayOptions> = {}): Promise<InnerRelay> {
  relay = await startInnerRelay({
    selfCommand,
    dir,
    secretFile,
    listen: [],
    advertise: [],
    environment: { PATH: process.env.PATH },
    giveUpMs: 20_000,
    logger: pino({ level: 'silent' }),
    ...more,
  })
  return relay
}

async function until(what: string, check: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`not seen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('the relay inside', () => {
  it('listens on a socket in the private folder, and where it was told to', async () => {
    const { listening, url } = await start({ listen: ['127.0.0.1:0'] })
    expect(url).toBe(`unix:${join(dir, 'uplink', 'relay.sock')}`)
    expect(listening.some((each) => each.startsWith('unix:'))).toBe(true)
    expect(listening.some((each) => /^tcp:\/\/127\.0\.0\.1:\d+$/.test(each))).toBe(true)
  })

  it('is started again each time it is killed', async () => {
    const running = await start()
    for (let round = 1; round <= 2; round += 1) {
      const { pid } = running
      process.kill(pid as number, 'SIGKILL')
      await until('another process', () => running.pid !== undefined && running.pid !== pid)
      await until('its announcement', () => running.isReady)
      expect(running.restarts).toBe(round)
    }
  })

  it('is given up with its own sentence when it cannot be started again', async () => {
    const running = await start({ giveUpMs: 5_000 })
    rmSync(secretFile)
    process.kill(running.pid as number, 'SIGKILL')
    const error = await running.lost
    expect(error.code).toBe('relay-lost')
    expect(error.message).toMatch(/^the relay died and could not be started again for 5 s: .*secret/)
  })

  it('that cannot start at all says why', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    await expect(start({ listen: [`127.0.0.1:${port}`] })).rejects.toThrow(
      new RegExp(`did not start: .*${port}`),
    )
    await new Promise((resolve) => taken.close(resolve))
  })
})
