/** Ports for programs that cannot take port 0. Used by the testbed. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Below the ephemeral range, so that no dialling socket takes one between here and its listener. */
const FIRST = 20_000
const LAST = 31_999
let next = FIRST + ((process.pid * 37) % (LAST - FIRST))

/** A port that nobody listens on, on any address of this machine. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < LAST - FIRST; tries += 1) {
    next = next >= LAST ? FIRST : next + 1
    const port = next // others may ask meanwhile
    if (await isFree(port)) return port
  }
  throw new Error(`no free port between ${FIRST} and ${LAST}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '0.0.0.0' }, () => server.close(() => resolve(true)))
  })
}

/** Whether anybody listens on the port, without dialling it: some contestants serve their first caller only. */
export function isListening(port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['tcp', 'tcp6'].some((name) =>
    readFileSync(`/proc/net/${name}`, 'latin1')
      .split('\n')
      .some((line) => {
        const [, local, , state] = line.trim().split(/\s+/)
        return state === '0A' && local?.endsWith(suffix) === true
      }),
  )
}
