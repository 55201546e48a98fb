/** `--profile`: one run of ours with V8's CPU profiler on in relay and endpoints, drawn as flame graphs. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type CpuProfile, flameGraph } from './report/flame.ts'
import { Testbed } from './testbed/testbed.ts'

/** Leaves `FOLDER/BENCH/ROLE-THREAD.svg` and the profiles themselves (for DevTools). */
export async function profile(
  bench: Bench,
  seconds: number,
  folder: string,
  tell: (line: string) => void,
): Promise<void> {
  const mine = bench.contestants.find((one) => one.isOurs)
  if (mine === undefined) return tell(`${bench.name}: nothing of ours to profile`)
  const to = join(folder, bench.name)
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true })
  const bed = new Testbed({ roundTripMs: bench.roundTripMs, profileDir: to })
  try {
    await bench.measure(mine, bed, { seconds })
  } finally {
    await bed.close() // the processes write their profiles as they end
  }
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
