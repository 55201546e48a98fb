/**
 * Where and with what a result was made: it belongs to each of them, and tells results of
 * different machines apart. Used by run.ts and the report.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  /** Folder name: model, cores and a hash of what else makes figures differ. */
  readonly id: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  /**
   * TCP congestion control of new sockets; part of the identity, for on loopback cubic takes 20 to 25 % less CPU
   * time a GiB than bbr, which paces by a timer. Absent in results of before, where it was not looked at.
   */
  readonly congestionControl?: string
  /** Second-level and third-level cache that the first core sees, KiB. Absent where the kernel does not tell. */
  readonly l2Kib?: number
  readonly l3Kib?: number
}

export interface Commit {
  readonly hash: string
  /** Files that differ from it, of those that run. */
  readonly isDirty: boolean
}

const CONGESTION_CONTROL = '/proc/sys/net/ipv4/tcp_congestion_control'
const CACHES = '/sys/devices/system/cpu/cpu0/cache'

/** What decides over figures: our code, what measures and what builds it. Results are written while a run goes on. */
const RUNNING = [
  ...['relay', 'executor-shim', 'driver-agent', 'cli', 'bench', 'scripts/build.ts', 'package-lock.json'],
  ':(exclude)bench/results',
]

export function describeMachine(): Machine {
  const cores = cpus()
  const identity = {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    congestionControl: readText(CONGESTION_CONTROL) ?? 'unknown',
  }
  return { id: machineId(identity), ...identity, ...readCaches() }
}

/** Pure. */
export function machineId(
  machine: Required<Pick<Machine, 'cpu' | 'cores' | 'memoryGib' | 'kernel' | 'congestionControl'>>,
): string {
  const { cpu, cores, memoryGib, kernel, congestionControl } = machine
  const slug = cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|cpu|processor|@.*$/g, ' ')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  const identity = [cpu, cores, memoryGib, kernel, congestionControl].join('\n')
  const hash = createHash('sha256').update(identity).digest('hex')
  return `${slug || 'machine'}-${cores}-${hash.slice(0, 6)}`
}

/** `AMD EPYC, 2 cores, 24 GiB, Linux 6.18.44, TCP bbr, L2 1024 KiB, L3 32768 KiB`. Pure. */
export function machineInWords(machine: Machine): string {
  const { cpu, cores, memoryGib, kernel, congestionControl, l2Kib, l3Kib } = machine
  return [
    cpu,
    `${cores} cores`,
    `${memoryGib} GiB`,
    `Linux ${kernel}`,
    ...(congestionControl === undefined ? [] : [`TCP ${congestionControl}`]),
    ...(l2Kib === undefined ? [] : [`L2 ${l2Kib} KiB`]),
    ...(l3Kib === undefined ? [] : [`L3 ${l3Kib} KiB`]),
  ].join(', ')
}

function readCaches(): Pick<Machine, 'l2Kib' | 'l3Kib'> {
  const sizes: { l2Kib?: number; l3Kib?: number } = {}
  for (const index of listed(CACHES)) {
    const level = readText(join(CACHES, index, 'level'))
    const kib = parseCacheKib(readText(join(CACHES, index, 'size')) ?? '')
    if (kib === undefined) continue
    if (level === '2') sizes.l2Kib = kib
    if (level === '3') sizes.l3Kib = kib
  }
  return sizes
}

/** `1024K` or `32M`, as sysfs writes them. Pure. */
export function parseCacheKib(text: string): number | undefined {
  const [, size, unit] = /^(\d+)([KM])$/.exec(text) ?? []
  return size === undefined ? undefined : Number(size) * (unit === 'M' ? 1024 : 1)
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim()
  } catch {
    return undefined
  }
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

export function readCommit(root: string): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return {
      hash: git('rev-parse', '--short=10', 'HEAD'),
      isDirty: git('status', '--porcelain', '--', ...RUNNING) !== '',
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
