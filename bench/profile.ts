/**
 * `--profile`: a run of ours with V8's CPU profiler on in relay and endpoints, drawn as flame graphs,
 * and one more that counts what each thread allocates.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bench, needsOf } from './bench.ts'
import type { Contestant } from './contestants/contestant.ts'
import { quantile } from './measure/statistics.ts'
import { BenchUsageError } from './options.ts'
import { type CpuProfile, flameGraph } from './report/flame.ts'
import { missingPrograms } from './testbed/programs.ts'
import { Testbed } from './testbed/testbed.ts'

/** Between two counts of what was allocated, ms. */
const EVERY_MS = 250

type Tell = (line: string) => void

/**
 * Benches whose processes of ours take flags of Node: those that the bench starts itself. Asked for
 * by name, another is refused (BenchUsageError); else it is left out with a word.
 */
export function profiled(benches: readonly Bench[], isNamed: boolean, tell: Tell): readonly Bench[] {
  return benches.filter((bench) => {
    const missing = missingPrograms(needsOf(bench))
    if (mineOf(bench) !== undefined && missing.length === 0) return true
    const why =
      missing.length === 0 ? 'Spark starts its processes, not the bench' : `it needs ${missing.join(', ')}`
    const says = `${bench.name} cannot be profiled: ${why}`
    if (isNamed) throw new BenchUsageError(says)
    tell(says)
    return false
  })
}

function mineOf(bench: Bench): Contestant | undefined {
  return bench.contestants.find(({ world }) => world !== undefined)
}

/** Leaves `FOLDER/BENCH/ROLE-THREAD.svg` and the profiles themselves (for DevTools), and tells allocations. */
export async function profile(bench: Bench, seconds: number, folder: string, tell: Tell): Promise<void> {
  const mine = mineOf(bench)
  if (mine === undefined) return
  const to = join(folder, bench.name)
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true })
  await drawFlames(bench, mine, seconds, to, tell)
  await countAllocations(bench, mine, seconds, join(to, 'allocations'), tell)
}

async function drawFlames(
  bench: Bench,
  mine: Contestant,
  seconds: number,
  to: string,
  tell: Tell,
): Promise<void> {
  await runWith(bench, mine, seconds, (role) => [
    ...['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', join(to, role)],
  ])
  for (const role of readdirSync(to)) {
    // A bench may have several processes in one role, and more testbeds than one.
    const drawn = new Map<string, number>()
    for (const name of readdirSync(join(to, role)).sort()) {
      const thread = /\.(\d+)\.\d+\.cpuprofile$/.exec(name)?.[1] === '0' ? 'main' : 'bulk'
      const cpuProfile = JSON.parse(readFileSync(join(to, role, name), 'utf8')) as CpuProfile
      const count = (drawn.get(thread) ?? 0) + 1
      drawn.set(thread, count)
      const file = join(to, `${role}-${thread}${count === 1 ? '' : `-${count}`}.svg`)
      writeFileSync(file, flameGraph(cpuProfile, `${bench.name}, ${role}, ${thread} thread`))
      tell(file)
    }
  }
}

async function countAllocations(
  bench: Bench,
  mine: Contestant,
  seconds: number,
  to: string,
  tell: Tell,
): Promise<void> {
  const counter = new URL('./ours/count-allocations.ts', import.meta.url)
  mkdirSync(to, { recursive: true })
  const { mibS } = await runWith(bench, mine, seconds, (role) => {
    counter.search = String(new URLSearchParams({ to: join(to, role), everyMs: String(EVERY_MS) }))
    return ['--import', counter.href]
  })
  for (const role of readdirSync(to)) {
    for (const name of readdirSync(join(to, role))) {
      const lines = readFileSync(join(to, role, name), 'utf8')
        .trim()
        .split('\n')
        .map(Number)
      // The load is the last thing that happened: what was before it, its first second and its end stay out.
      const busy = lines.slice(-Math.floor(((seconds - 1) * 1_000) / EVERY_MS) - 2, -2)
      const thread = name.endsWith('-0') ? 'main' : 'bulk'
      tell(`${role}, ${thread} thread: ${allocationOf(busy, mibS)}`)
    }
  }
}

/** Pure. `bytes`: what was allocated between two counts. `mibS`: what the load moved; absent or 0: nothing to divide by. */
export function allocationOf(bytes: readonly number[], mibS: number | undefined): string {
  if (bytes.length === 0) return 'too short a run to count what it allocates'
  const kibS = ((quantile(bytes, 0.5) / 1_024) * 1_000) / EVERY_MS
  const aMib = mibS === undefined || !(mibS > 0) ? '' : `, ${(kibS / mibS).toFixed(1)} KiB a MiB`
  return `${kibS.toFixed(0)} KiB/s of V8's heap allocated${aMib}`
}

async function runWith(
  bench: Bench,
  mine: Contestant,
  seconds: number,
  nodeFlags: (role: string) => readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const bed = new Testbed({ roundTripMs: bench.roundTripMs, nodeFlags })
  try {
    return await bench.measure(mine, bed, { seconds })
  } finally {
    await bed.close() // the processes write their profiles as they end
  }
}
