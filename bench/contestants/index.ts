/** All contestants by name. Used by the benches. */
import type { Contestant } from './contestant.ts'
import { native, ours } from './ours.ts'
import { rivals } from './rivals.ts'

export type { Contestant, Entries } from './contestant.ts'
export { native, ours, startWorld, virtual } from './ours.ts'

export const oursUnix = ours({ name: 'ours-unix', note: 'native links over a Unix socket', scheme: 'unix' })
export const oursTls = ours({
  name: 'ours-tls',
  note: 'native links inside TLS',
  scheme: 'tls',
  needs: ['openssl'],
})
export const oursWs = ours({ name: 'ours-ws', note: 'WebSocket links, real masks', scheme: 'ws' })
export const oursWsZero = ours({
  name: 'ours-ws-zero',
  note: 'WebSocket links, plain, zero masks: in the bench only',
  scheme: 'ws',
  hasZeroMasks: true,
})
export const oursWss = ours({
  name: 'ours-wss',
  note: 'WebSocket links inside TLS, zero masks',
  scheme: 'wss',
  needs: ['openssl'],
})

export const oursApart = ours({
  name: 'ours-apart',
  note: 'two relay processes, one a class (`--classes`), directory in Redis',
  hasClassesApart: true,
  needs: ['redis-server'],
})

const all: readonly Contestant[] = [
  native,
  oursApart,
  oursUnix,
  oursTls,
  oursWs,
  oursWsZero,
  oursWss,
  ...rivals.map((rival) => ({ ...rival, isOurs: false })),
]

/** Throws for a name that nobody has: a fault of the bench. */
export function contestants(...names: readonly string[]): readonly Contestant[] {
  return names.map((name) => {
    const found = all.find((one) => one.name === name)
    if (found === undefined) throw new Error(`no contestant ${name}`)
    return found
  })
}

export const everyContestant = all
