/**
 * Loaded into a process before its own code (`--import`, with `--expose-gc`): on SIGUSR2 it
 * collects, and writes its live memory as a line of JSON on stderr.
 */
import { setTimeout as wait } from 'node:timers/promises'

process.on('SIGUSR2', async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await wait(50) // what was released in between
  }
  const { heapUsed, external } = process.memoryUsage()
  process.stderr.write(`${JSON.stringify({ liveBytes: heapUsed + external })}\n`)
})
