/** Our code at another commit as a contestant of its own: `--against REF`. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Contestant, ours } from './contestants/index.ts'
import { BenchUsageError } from './options.ts'
import { cacheDir, root } from './testbed/programs.ts'

/** The working tree and our code at `at` (a checkout of `ref`), in place of all others. */
export function againstContestants(bench: Bench, ref: string, at: string): readonly Contestant[] {
  const mine = bench.contestants.filter(({ name }) => name === 'ours')
  if (mine.length === 0) throw new BenchUsageError(`${bench.name} has no contestant "ours" to compare`)
  return [...mine, ours({ name: `ours@${ref}`, note: `our code at ${ref}`, root: at })]
}

/** Our files at `ref`, below .cache. Throws BenchUsageError for a ref that is none. */
export function checkout(ref: string): string {
  let hash: string
  try {
    const args = ['rev-parse', '--verify', '--quiet', '--short=10', `${ref}^{commit}`]
    hash = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  } catch {
    throw new BenchUsageError(`--against ${ref}: there is no such commit`)
  }
  const folder = join(cacheDir, 'against', hash)
  if (existsSync(join(folder, 'package.json'))) return folder
  mkdirSync(folder, { recursive: true })
  execFileSync('sh', ['-c', 'git archive "$0" | tar -x -C "$1"', hash, folder], { cwd: root })
  // Dependencies are those of the working tree: only our own code is compared.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
