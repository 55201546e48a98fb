/** Our code at another commit as a contestant of its own: `--against REF`. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { Contestant } from './contestants/index.ts'
import { BenchUsageError } from './options.ts'
import { cacheDir, root } from './testbed/programs.ts'

/** Each of ours from the working tree, and beside it from `at` (a checkout of `ref`); in place of all others. */
export function againstContestants(bench: Bench, ref: string, at: string): readonly Contestant[] {
  const pairs = bench.contestants.flatMap((mine) =>
    mine.at === undefined ? [] : [mine, mine.at(`${mine.name}@${ref}`, at)],
  )
  if (pairs.length === 0) throw new BenchUsageError(`${bench.name} has nothing of ours to compare`)
  return pairs
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
  const all = join(cacheDir, 'against')
  const folder = join(all, hash)
  return isWhole(folder) ? folder : extract(hash, all, folder)
}

/** The link is the last that is made: what lacks it was interrupted. */
function isWhole(folder: string): boolean {
  return existsSync(join(folder, 'node_modules'))
}

/** Beside its place first, so that nobody ever takes a part for the whole. */
function extract(hash: string, all: string, folder: string): string {
  mkdirSync(all, { recursive: true })
  const made = mkdtempSync(join(all, 'new-'))
  try {
    const [files, archive] = [join(made, 'files'), join(made, 'archive.tar')]
    mkdirSync(files)
    execFileSync('git', ['archive', '--output', archive, hash], { cwd: root })
    execFileSync('tar', ['-x', '-f', archive, '-C', files])
    // Dependencies are those of the working tree: only our own code is compared.
    symlinkSync(join(root, 'node_modules'), join(files, 'node_modules'))
    if (!isWhole(folder)) rmSync(folder, { recursive: true, force: true })
    try {
      renameSync(files, folder)
    } catch (error) {
      if (!isWhole(folder)) throw error // otherwise another bench was as quick
    }
    return folder
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}
