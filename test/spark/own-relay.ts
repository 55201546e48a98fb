/** A relay of the test's own, that it can kill and bring back. For test/spark/ only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyLine } from '../../relay/token/index.ts'
import { root } from './harness.ts'

export interface OwnRelay {
  /** `unix:…`: for --relay. */
  readonly url: string
  readonly secretFile: string
  start(): Promise<void>
  /** SIGKILL; settles when it is gone. */
  kill(): Promise<void>
  remove(): Promise<void>
}

export function ownRelay(): OwnRelay {
  const folder = mkdtempSync(join(tmpdir(), 'slr-relay-'))
  // A folder of its own: functions see the folder, and so the socket of a relay that came back.
  const uplink = join(folder, 'uplink')
  mkdirSync(uplink)
  const url = `unix:${join(uplink, 'r.sock')}`
  const secretFile = join(folder, 'secret')
  writeFileSync(secretFile, `${generateKeyLine('test', '*')}\n`, { mode: 0o600 })
  let child: ChildProcess | undefined
  const kill = async (): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    running.kill('SIGKILL')
    await once(running, 'exit')
  }
  return {
    url,
    secretFile,
    async start() {
      const entry = join(root, 'bin', 'spark-lambda-relay.js')
      const args = [
        'relay',
        '--listen',
        url,
        '--secret-file',
        secretFile,
        '--announce',
        '--log-level',
        'warn',
      ]
      child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
      const started = child
      await Promise.race([
        once(started.stdout as NodeJS.ReadableStream, 'data'),
        once(started, 'exit').then(([code]) => {
          throw new Error(`the relay ended with ${code} before it was ready`)
        }),
      ])
    },
    kill,
    async remove() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
