import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createPipeDialer } from '../../../relay/pipe/dial.ts'
import { expiryIn, signToken } from '../../../relay/token/index.ts'
import { encodeHello } from '../../../relay/wire/control.ts'
import { FrameType } from '../../../relay/wire/header.ts'
import { neverAborted } from '../../helper/pipe-world.ts'
import { type RelayProcess, spawnRelay } from '../../helper/relay-process.ts'
import { RawLink } from '../../helper/relay-world.ts'

const preload = new URL('../../helper/tell-memory.ts', import.meta.url).href

/** Bytes of live memory, collected before. */
async function liveBytes(relay: RelayProcess): Promise<number> {
  const told = (): number[] =>
    [...relay.output.stderr.matchAll(/^\{"liveBytes":(\d+)\}$/gm)].map(([, digits]) => Number(digits))
  const before = told().length
  relay.child.kill('SIGUSR2')
  await expect.poll(() => told().length, { timeout: 10_000 }).toBeGreaterThan(before)
  return told().at(-1) as number
}

/** Both links of an endpoint, attached. */
async function attach(relay: RelayProcess, url: string, index: number): Promise<void> {
  const addr = `127.64.${index >>> 8}.${index & 255}`
  const exp = expiryIn(600_000)
  const token = await signToken(relay.key, { app: 'spark-idle', addr, gen: 1, role: 'executor', exp })
  const incarnation = randomBytes(8).toString('hex')
  for (const trafficClass of ['urgent', 'bulk'] as const) {
    const link = new RawLink(await createPipeDialer().dial(url, neverAborted))
    onTestFinished(() => link.pipe.destroy())
    link.pipe.write(
      encodeHello({ versions: [1, 1], token, incarnation, counter: 1, class: trafficClass, mode: 'attach' }),
    )
    expect(await link.frame(FrameType.welcome)).toBeDefined()
  }
}

describe('an idle endpoint', () => {
  // Two bare sockets of Node's are 3.6 KiB of it. Resident memory is the bench's: `idle-endpoints`.
  it('costs the relay less than 11 KiB of live memory', async () => {
    const relay = spawnRelay(['--listen', '127.0.0.1:0', '--silence', '60s', '--log-level', 'warn'], {
      NODE_OPTIONS: `--expose-gc --import ${preload}`,
    })
    onTestFinished(async () => {
      relay.child.kill('SIGKILL')
      await relay.ended
    })
    const [url] = (await relay.listening) as [string]
    const attachTo = async (from: number, to: number): Promise<number> => {
      for (let at = from; at < to; at += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, n) => attach(relay, url, at + n + 1)))
      }
      return await liveBytes(relay)
    }
    const few = await attachTo(0, 250) // V8 compiles meanwhile
    const many = await attachTo(250, 1_000)
    const kib = (many - few) / 750 / 1024
    console.info(`${kib.toFixed(1)} KiB an idle endpoint`)
    expect(kib).toBeLessThan(11)
    expect(kib).toBeGreaterThan(1) // else it was not measured
  })
})
