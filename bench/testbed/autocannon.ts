/** HTTP requests through a contestant, made by autocannon. */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Entries } from '../contestants/contestant.ts'
import { type Sample, sampleOf } from '../measure/sample.ts'
import { DiedError, type Testbed } from './testbed.ts'

/** The part of autocannon's result that is used. Latencies in ms. */
interface CannonResult {
  readonly requests: { readonly average: number }
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly errors: number
  readonly non2xx: number
}

const program = createRequire(import.meta.url).resolve('autocannon')

/** `connections` that ask again and again; a server of ours is the sink. autocannon counts whole seconds only. */
export async function runAutocannon(
  bed: Testbed,
  entries: Entries,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Sample> {
  const sink = join(import.meta.dirname, '../ours/http-sink-main.ts')
  bed.start('load', process.execPath, [sink, entries.sinkPort])
  await bed.listening(entries.sinkPort)
  const cannon = async (s: number): Promise<CannonResult> => {
    const url = `http://${entries.urgent ?? entries.entries[0]}/`
    const words = [program, '--json', '--no-progress', '-c', connections, '-d', s, url]
    const child = bed.start('load', process.execPath, words, { stdio: 'pipes' })
    if (child.stdout === null) throw new Error('autocannon has no stdout')
    const [out] = await Promise.all([text(child.stdout), once(child, 'exit')])
    if (out === '') throw new DiedError(`autocannon said nothing${bed.lastWords()}`)
    return JSON.parse(out) as CannonResult
  }
  await cannon(1)
  const start = bed.read()
  const { requests, latency, errors, non2xx } = await cannon(Math.max(1, Math.round(seconds)))
  const end = bed.read()
  bed.assertAlive()
  return {
    ...sampleOf({}, start, end),
    requestsS: requests.average,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    failed: errors + non2xx,
  }
}
