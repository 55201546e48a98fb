/**
 * An executor's life as a pure machine: events in, state and things to do out. shim.ts feeds
 * it and carries out what it says; nothing here knows sockets, processes or timers.
 */
import type { ShimMessage } from './control.ts'
import { shimExit } from './main.ts'

/** Why the shim ends the JVM by itself. */
export type EndCause = 'asked' | 'lifetime' | 'driver-gone' | 'tunnel-lost' | 'parent-gone'

/** attaching → running → [draining] → [ending] → over. Nothing leaves over. */
export type Life =
  | { readonly is: 'attaching' }
  | { readonly is: 'running' }
  | { readonly is: 'draining' }
  /** The JVM was told to end, and dies of SIGKILL when its grace is over. */
  | { readonly is: 'ending'; readonly cause: EndCause }
  | { readonly is: 'over'; readonly exitCode: number }

export type LifeEvent =
  | { readonly is: 'attached' }
  /** The tunnel, the environment or the start of the JVM failed; `exitCode` out of shimExit. */
  | { readonly is: 'failed'; readonly exitCode: number }
  | { readonly is: 'jvm-exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly is: 'drain'; readonly reason: string }
  | { readonly is: 'end'; readonly cause: EndCause; readonly graceMs: number }
  | { readonly is: 'grace-over' }

export type Deed =
  | { readonly do: 'start-jvm' }
  | { readonly do: 'signal'; readonly signal: 'SIGPWR' | 'SIGTERM' | 'SIGKILL' }
  | { readonly do: 'send'; readonly message: ShimMessage }
  /** Feed `grace-over` after so many ms. */
  | { readonly do: 'wait'; readonly ms: number }
  /** Send the JVM's end and leave the relay in order; without a driver or a parent there is nobody to tell. */
  | { readonly do: 'report-exit'; readonly code: number | null; readonly signal: string | null }
  | { readonly do: 'finish'; readonly exitCode: number; readonly inOrder: boolean }

export interface Step {
  readonly life: Life
  readonly deeds: readonly Deed[]
}

/** What `event` makes of `life`. Events that come too late, or twice, change nothing. */
export function step(life: Life, event: LifeEvent): Step {
  if (life.is === 'over') return { life, deeds: [] }
  switch (event.is) {
    case 'attached':
      return life.is === 'attaching' ? { life: { is: 'running' }, deeds: [{ do: 'start-jvm' }] } : same(life)
    case 'failed':
      return over(event.exitCode, true)
    case 'jvm-exited':
      return exited(life, event)
    case 'drain':
      if (life.is !== 'running') return same(life)
      return {
        life: { is: 'draining' },
        deeds: [
          { do: 'send', message: { is: 'draining', reason: event.reason } },
          { do: 'signal', signal: 'SIGPWR' },
        ],
      }
    case 'end':
      return end(life, event)
    case 'grace-over':
      return life.is === 'ending' ? { life, deeds: [{ do: 'signal', signal: 'SIGKILL' }] } : same(life)
  }
}

/** Exit code of a shim whose JVM was ended for `cause`. */
export function exitCodeOf(cause: EndCause): number {
  if (cause === 'asked') return shimExit.failed
  return cause === 'lifetime' ? shimExit.lifetime : shimExit.cutOff
}

function end(life: Life, event: Extract<LifeEvent, { is: 'end' }>): Step {
  // Whoever started us is gone: the whole function has to be gone in seconds.
  const atOnce = event.cause === 'parent-gone'
  if (life.is === 'attaching') return over(exitCodeOf(event.cause), !atOnce)
  if (life.is === 'ending' && !atOnce) return same(life)
  if (atOnce || event.graceMs <= 0) {
    return { life: { is: 'ending', cause: event.cause }, deeds: [{ do: 'signal', signal: 'SIGKILL' }] }
  }
  return {
    life: { is: 'ending', cause: event.cause },
    deeds: [
      { do: 'signal', signal: 'SIGTERM' },
      { do: 'wait', ms: event.graceMs },
    ],
  }
}

function exited(life: Life, event: Extract<LifeEvent, { is: 'jvm-exited' }>): Step {
  const cause = life.is === 'ending' ? life.cause : undefined
  const exitCode =
    cause !== undefined ? exitCodeOf(cause) : event.code === 0 ? shimExit.done : shimExit.failed
  const someoneListens = cause !== 'parent-gone' && cause !== 'driver-gone' && cause !== 'tunnel-lost'
  const report: Deed = { do: 'report-exit', code: event.code, signal: event.signal }
  const finish: Deed = { do: 'finish', exitCode, inOrder: someoneListens }
  return { life: { is: 'over', exitCode }, deeds: someoneListens ? [report, finish] : [finish] }
}

function over(exitCode: number, inOrder: boolean): Step {
  return { life: { is: 'over', exitCode }, deeds: [{ do: 'finish', exitCode, inOrder }] }
}

function same(life: Life): Step {
  return { life, deeds: [] }
}
