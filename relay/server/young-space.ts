/**
 * Bounds the memory in which V8 makes new objects. It doubles whenever as much has outlived
 * collections since it last grew, up to 128 MiB, and hardly shrinks: each endpoint that attaches
 * pushes it, so that 8,000 idle ones held 64 MiB of it that nobody used (11 KiB each). A relay
 * makes few objects; a smaller space costs it nothing (bulk-16: 0.47 CPU-s a relayed GiB with
 * both). Used by run.ts.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves together, bytes: this much it may have, and what a step beyond made of it. */
const ENOUGH_BYTES = 16 * 1024 * 1024

/**
 * `--max-semi-space-size` would say the same, but only on the command line that starts node,
 * which is not ours; by how much the space grows, V8 asks each time. Where a later V8 does not,
 * it grows as it always did. Counts for the whole process: for one that is a relay.
 */
export function boundYoungSpace(): void {
  const observer = new PerformanceObserver(() => look())
  const look = (): void => {
    const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')
    if (space === undefined || space.space_size < ENOUGH_BYTES) return
    observer.disconnect()
    setFlagsFromString('--semi-space-growth-factor=1')
  }
  observer.observe({ entryTypes: ['gc'] })
  look() // loading our own code may have been enough
}
