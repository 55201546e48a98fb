/**
 * Where and with what a result was made: it belongs to each of them, and tells results of
 * different machines apart. Used by run.ts and the report.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

export interface Machine {
  /** Folder name: model, cores and a hash of what else makes figures differ. */
  readonly id: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
}

export interface Commit {
  readonly hash: string
  /** Files that differ from it, of those that run. */
  readonly isDirty: boolean
}

export function describeMachine(): Machine {
  const cores = cpus()
  const cpu = cores[0]?.model.trim() ?? 'unknown'
  const memoryGib = Math.round(totalmem() / 2 ** 30)
  const kernel = release()
  return { id: machineId(cpu, cores.length, memoryGib, kernel), cpu, cores: cores.length, memoryGib, kernel }
}

/** Pure. */
export function machineId(cpu: string, cores: number, memoryGib: number, kernel: string): string {
  const slug = cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|cpu|processor|@.*$/g, ' ')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  const hash = createHash('sha256').update(`${cpu}\n${cores}\n${memoryGib}\n${kernel}`).digest('hex')
  return `${slug || 'machine'}-${cores}-${hash.slice(0, 6)}`
}

export function readCommit(root: string): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return {
      hash: git('rev-parse', '--short=10', 'HEAD'),
      isDirty:
        git('status', '--porcelain', '--', 'relay', 'executor-shim', 'cli', 'package-lock.json') !== '',
    }
  } catch {
    return { hash: 'none', isDirty: true }
  }
}

/** Open files this process and its children may have. */
export function descriptorLimit(): number {
  const line = readFileSync('/proc/self/limits', 'latin1').match(/^Max open files\s+(\S+)/m)
  return line?.[1] === 'unlimited' ? 1_048_576 : Number(line?.[1] ?? 1024)
}
