/**
 * Files, ports and processes of one run of one contestant. Every process is started here under
 * a role, so that its CPU time counts for that role, and is ended here by its pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MachineUsage, readMachineUsage } from '../measure/machine-usage.ts'
import {
  pidsOfTrees,
  readProcessTable,
  resetPeak,
  type Usage,
  usageOfTrees,
} from '../measure/process-usage.ts'
import { isContestant, type Role } from '../measure/role.ts'
import { freePort, isListening } from './ports.ts'
import { findProgram, TOXIPROXY } from './programs.ts'

export type { Role } from '../measure/role.ts'

export interface Reading {
  readonly atMs: number
  readonly machine: MachineUsage
  /** Of the bench itself, with every child of it that has ended. */
  readonly benchS: number
  /** Peaks of relay and endpoints are those since the reading before, or since the process began. */
  readonly byRole: ReadonlyMap<Role, Usage>
}

/** A contestant or the load ended when it should not have. */
export class DiedError extends Error {
  override readonly name = 'DiedError'
}

const END_MS = 4_000

/** Whatever is open when the bench is told to go: nothing that it started may outlive it. */
const open = new Set<Testbed>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    void Promise.all([...open].map((bed) => bed.close())).then(() => process.exit(1))
  })
}

export class Testbed {
  readonly dir = mkdtempSync(join(tmpdir(), 'slr-bench-'))
  readonly #children: { role: Role; child: ChildProcess; name: string; log: string }[] = []
  /** Round trip that `delayed` adds, ms. */
  readonly roundTripMs: number
  /** More flags of Node for a process of ours. */
  readonly nodeFlags: (role: string) => readonly string[]
  #toxiproxy: number | undefined

  constructor(
    options: { roundTripMs?: number | undefined; nodeFlags?: (role: string) => readonly string[] } = {},
  ) {
    this.roundTripMs = options.roundTripMs ?? -1
    this.nodeFlags = options.nodeFlags ?? (() => [])
    open.add(this)
  }

  /** One more for a part of the same run, with the same flags for processes of ours; its maker closes it. */
  another(options: { roundTripMs?: number } = {}): Testbed {
    return new Testbed({ ...options, nodeFlags: this.nodeFlags })
  }

  file(name: string, text: string, mode = 0o600): string {
    const path = join(this.dir, name)
    writeFileSync(path, text, { mode })
    return path
  }

  port(): Promise<number> {
    return freePort()
  }

  /** Starts a program by name or path. What it says goes to a log of its own. */
  start(
    role: Role,
    program: string,
    args: readonly (string | number)[],
    options: { stdio?: 'pipes'; env?: NodeJS.ProcessEnv } = {},
  ): ChildProcess {
    const path = findProgram(program)
    if (path === undefined) throw new DiedError(`${program} is not installed`)
    const log = join(this.dir, `${role}-${this.#children.length}.log`)
    const fd = openSync(log, 'w')
    const pipes = options.stdio === 'pipes'
    const child = spawn(path, args.map(String), {
      stdio: [pipes ? 'pipe' : 'ignore', pipes ? 'pipe' : fd, fd],
      env: options.env ?? process.env,
    })
    closeSync(fd)
    child.on('error', () => {}) // told by exitCode and by whoever waits for it
    this.#children.push({ role, child, name: program, log })
    return child
  }

  /** Waits until somebody listens on the port. */
  async listening(port: number, limitMs = 10_000): Promise<void> {
    const deadline = Date.now() + limitMs
    while (!isListening(port)) {
      this.assertAlive()
      if (Date.now() > deadline) throw new DiedError(`nothing listens on port ${port}${this.lastWords()}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** An address by which to dial a local port: through toxiproxy where the bench wants a round trip. */
  async hop(port: number): Promise<string> {
    if (this.roundTripMs < 0) return `127.0.0.1:${port}`
    if (this.#toxiproxy === undefined) {
      this.#toxiproxy = await this.port()
      this.start('delay', TOXIPROXY, ['-host', '127.0.0.1', '-port', this.#toxiproxy])
      await this.listening(this.#toxiproxy)
    }
    const listen = `127.0.0.2:${port}`
    await this.#tellToxiproxy('/proxies', {
      name: `hop${port}`,
      listen,
      upstream: `127.0.0.1:${port}`,
      enabled: true,
    })
    if (this.roundTripMs > 0) {
      for (const stream of ['upstream', 'downstream']) {
        await this.#tellToxiproxy(`/proxies/hop${port}/toxics`, {
          type: 'latency',
          stream,
          attributes: { latency: this.roundTripMs / 2 },
        })
      }
    }
    return listen
  }

  async #tellToxiproxy(path: string, body: unknown): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#toxiproxy}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new DiedError(`toxiproxy refused ${path}: ${await response.text()}`)
  }

  /** CPU time and memory of each role, and of the machine. Peaks of memory begin anew. */
  read(): Reading {
    const table = readProcessTable()
    const byRole = new Map<Role, Usage>()
    for (const role of new Set(this.#children.map((entry) => entry.role))) {
      const pids = this.#children
        .filter((entry) => entry.role === role)
        .flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid]))
      byRole.set(role, usageOfTrees(table, pids))
      if (!isContestant(role)) continue
      for (const pid of pidsOfTrees(table, pids)) resetPeak(pid)
    }
    const benchS = table.get(process.pid)?.cpuS ?? 0
    return { atMs: performance.now(), machine: readMachineUsage(), benchS, byRole }
  }

  /** Throws when anything but the load has ended. */
  assertAlive(): void {
    for (const { role, child, name } of this.#children) {
      if (role !== 'load' && (child.exitCode !== null || child.signalCode !== null)) {
        throw new DiedError(
          `${name} ended with ${child.signalCode ?? child.exitCode}${this.lastWords(child)}`,
        )
      }
    }
  }

  /** The ends of all logs, for the one who asks why; that of `first` before the others. */
  lastWords(first?: ChildProcess): string {
    const all = [...this.#children].sort((a, b) => Number(b.child === first) - Number(a.child === first))
    const words = all.flatMap(({ name, log }) => {
      const text = readFileSync(log, 'utf8').trim().slice(-400)
      return text === '' ? [] : [`${name}: ${text}`]
    })
    return words.length === 0 ? '' : `\n  ${words.join('\n  ')}`
  }

  /** Ends what was started, newest first, and removes the files. */
  async close(): Promise<void> {
    open.delete(this)
    const alive = this.#children.filter(({ child }) => child.exitCode === null && child.signalCode === null)
    await Promise.all(alive.reverse().map(({ child }) => endProcess(child)))
    rmSync(this.dir, { recursive: true, force: true })
  }
}

function endProcess(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return resolve()
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}
