/** What a WebSocket peer gets that says goodbye and does not read: its own bytes, and nobody else's. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { PipeRecorder, startPipeWorld } from '../../helper/pipe-world.ts'

const SLABS = 120
const [ITS_OWN, FOREIGN] = [1, 2]

it('a peer that closes while bytes wait for it never gets those that the same buffers hold later', async () => {
  const world = await startPipeWorld({ transport: 'ws' })
  onTestFinished(() => world.stop())
  const client = new WebSocket(`${world.url}/link`)
  onTestFinished(() => client.terminate())
  const got = new Set<number>()
  client.on('message', (data: Buffer) => {
    for (const byte of data) got.add(byte)
  })
  client.on('error', () => {})
  const [{ pipe }] = await Promise.all([world.nextAccepted(), once(client, 'open')])
  const events = new PipeRecorder()
  pipe.start(events)
  client.pause()
  const pool = world.serverPool
  for (let i = 0; i < SLABS; i++) {
    const slab = pool.take()
    slab.bytes.fill(ITS_OWN)
    pipe.write(slab.bytes, slab)
    slab.release()
  }
  await sleep(50)
  expect(pipe.queuedBytes).toBeGreaterThan(1_000_000) // the kernel has taken what it takes
  client.close()
  await sleep(50)
  for (let i = 0; i < 4 * SLABS; i++) {
    pipe.write(Buffer.from([ITS_OWN]))
    await new Promise(setImmediate)
  }
  for (let i = 0; i < SLABS; i++) pool.take().bytes.fill(FOREIGN)
  client.resume()
  await events.until(() => events.closes > 0)
  await sleep(50)
  expect([...got]).toEqual([ITS_OWN])
})
