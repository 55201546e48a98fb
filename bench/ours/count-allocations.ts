/**
 * Loaded into each thread of a process of ours (`--import`): writes now and then how many bytes the
 * thread has allocated on V8's heap since the last time, a line each, to a file of its own in the
 * folder that its URL names, as `?to=FOLDER&everyMs=MS`. What a collection frees is what it found less what it left.
 * Used by bench/profile.ts.
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GCProfiler, getHeapStatistics } from 'node:v8'
import { threadId } from 'node:worker_threads'

/** The figures that V8 gives with each collection; Node's types know nothing of them. */
interface Collection {
  readonly beforeGC: { readonly heapStatistics: { readonly usedHeapSize: number } }
  readonly afterGC: { readonly heapStatistics: { readonly usedHeapSize: number } }
}

const asked = new URL(import.meta.url).searchParams
const folder = asked.get('to') ?? '.'
mkdirSync(folder, { recursive: true })
const file = join(folder, `${process.pid}-${threadId}`)

let profiler = begin()
let used = getHeapStatistics().used_heap_size
setInterval(
  () => {
    const collections = (profiler.stop() as { statistics: readonly Collection[] }).statistics
    let allocated = 0
    for (const { beforeGC, afterGC } of collections) {
      allocated += beforeGC.heapStatistics.usedHeapSize - used
      used = afterGC.heapStatistics.usedHeapSize
    }
    const now = getHeapStatistics().used_heap_size
    allocated += now - used
    used = now
    appendFileSync(file, `${allocated}\n`)
    profiler = begin()
  },
  Number(asked.get('everyMs')),
).unref()

function begin(): GCProfiler {
  const fresh = new GCProfiler()
  fresh.start()
  return fresh
}
