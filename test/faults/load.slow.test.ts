/** A thousand functions that start at the same moment. */
import { describe, expect, it } from 'vitest'
import { runLoad } from './load.ts'

describe('1,000 endpoints that attach at once', () => {
  it('are all home within 10 s, none refused, and hold 20,000 idle streams', async () => {
    const result = await runLoad({
      endpoints: 1_000,
      streams: 20_000,
      relays: 3,
      processes: 4,
      holdMs: 5_000,
    })
    console.info(JSON.stringify(result))
    expect(result.failures).toEqual([])
    expect(result.attach.maxMs).toBeLessThan(10_000)
    expect(result.streams).toBe(20_000)
    expect(result.resets).toBe(0)
    expect(result.detached).toBe(0)
  })
})
