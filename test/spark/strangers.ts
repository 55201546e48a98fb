/** What a program of another user, or of another machine, meets at a running job. For test/spark/ only. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { promisify } from 'node:util'
import { NOBODY } from './other-machines.ts'

/** Ports on which process `pid` listens at 0.0.0.0. */
export function wildcardPorts(pid: number): number[] {
  const inodes = new Set<string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1]
      if (inode !== undefined) inodes.add(inode)
    } catch {
      // Closed meanwhile.
    }
  }
  const LISTEN = '0A'
  return readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN && inodes.has(fields[9] ?? ''))
    .map((fields) => (fields[1] ?? '').split(':'))
    .filter(([address]) => address === '00000000')
    .map(([, port = '']) => Number.parseInt(port, 16))
    .sort((a, b) => a - b)
}

export interface Met {
  /** `reset`, `end`, `open` (nothing within 5 s), or an error's code before the connection stood. */
  readonly outcome: string
  readonly ms: number
}

/** Connects, says something, and sees what comes. */
export function meet(host: string, port: number): Promise<Met> {
  const since = performance.now()
  const socket = createConnection({ host, port })
  socket.setTimeout(5_000)
  let outcome = 'end'
  socket.once('connect', () => socket.write('x'))
  socket.once('timeout', () => {
    outcome = 'open'
    socket.destroy()
  })
  socket.once('error', (error: NodeJS.ErrnoException) => {
    outcome = error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'reset' : String(error.code)
  })
  socket.resume()
  return new Promise((resolve) => {
    socket.once('close', () => resolve({ outcome, ms: performance.now() - since }))
  })
}

const run = promisify(execFile)

/** Runs `script`, the body of a module, as user nobody; its output as JSON. Needs root. */
export async function asNobody(script: string): Promise<unknown> {
  const { stdout } = await run('setpriv', [
    ...[`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'],
    ...[process.execPath, '--input-type=module', '--eval', script],
  ])
  return JSON.parse(stdout)
}

/** For asNobody: `meet` of this file, whose source that user can read. */
export function meetingScript(meetings: readonly { host: string; port: number }[]): string {
  return `
import { meet } from ${JSON.stringify(import.meta.url)}
const met = []
for (const { host, port } of ${JSON.stringify(meetings)}) met.push(await meet(host, port))
console.log(JSON.stringify(met))`
}
