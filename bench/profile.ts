/**
 * `--profile`: a run of ours with V8's CPU profiler on in relay and endpoints, drawn as flame graphs,
 * and one more that counts what each thread allocates.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { Contestant } from './contestants/contestant.ts'
import { quantile } from './measure/statistics.ts'
import { type CpuProfile, flameGraph } from './report/flame.ts'
import { Testbed } from './testbed/testbed.ts'

/** Between two counts of what was allocated, ms. */
const EVERY_MS = 250

type Tell = (line: string) => void

/** Leaves `FOLDER/BENCH/ROLE-THREAD.svg` and the profiles themselves (for DevTools), and tells allocations. */
export async function profile(bench: Bench, seconds: number, folder: string, tell: Tell): Promise<void> {
  const mine = bench.contestants.find((one) => one.isOurs)
  if (mine === undefined) return tell(`${bench.name}: nothing of ours to profile`)
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
    for (const name of readdirSync(join(to, role))) {
      const thread = /\.(\d+)\.\d+\.cpuprofile$/.exec(name)?.[1] === '0' ? 'main' : 'bulk'
      const cpuProfile = JSON.parse(readFileSync(join(to, role, name), 'utf8')) as CpuProfile
      const file = join(to, `${role}-${thread}.svg`)
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
      const kibS = ((quantile(busy, 0.5) / 1_024) * 1_000) / EVERY_MS
      const aMib = mibS === undefined ? '' : `, ${(kibS / mibS).toFixed(1)} KiB a MiB`
      const thread = name.endsWith('-0') ? 'main' : 'bulk'
      tell(`${role}, ${thread} thread: ${kibS.toFixed(0)} KiB/s of V8's heap allocated${aMib}`)
    }
  }
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
